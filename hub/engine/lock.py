"""One engine per SQLite database: a second process is refused with a sentence."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from hub.sdk import ConfigError


class EngineLock:
    """An advisory lock on a file beside the database; the kernel lets go of it when the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock. Raises ConfigError when another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise ConfigError(
                f"another hub (process {holder}) already works on this database: stop it first, "
                f"or give this one its own [hub] data directory"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go. Safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
