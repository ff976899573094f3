"""TOML values made ready for their model: secrets fetched, paths made absolute, renamed settings moved.

Secrets stay out of the configuration: ``{ file = "..." }`` (as Docker and systemd hand them over)
or ``{ env = "..." }``. Text in the file itself works, and is noticed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from hub.config import shapes
from hub.config.problems import Problem, join

_UNKNOWN = SecretStr("?")  # stands in for a secret that was not found, so that the other checks go on


@dataclass(slots=True)
class Preparation:
    """One walk over one table. Collects problems and notices instead of stopping at the first."""

    base: Path
    environ: Mapping[str, str] = field(repr=False)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)

    def model(self, model: type[BaseModel], given: Mapping[str, Any], path: str) -> dict[str, Any]:
        """`given` with every field of `model` prepared; keys the model does not know stay as they are."""
        ready = dict(given)
        for name, info in shapes.fields(model):
            self._rename(ready, shapes.old_names(info), name, path)
            if name in ready:
                annotation = info.annotation
                ready[name] = self.value(annotation, ready[name], join(path, name))
        return ready

    def _rename(self, table: dict[str, Any], old_names: list[str], name: str, path: str) -> None:
        for old in old_names:
            if old not in table:
                continue
            if name in table:
                self.problems.append(Problem(join(path, old), f'is called "{name}" now and is set twice', "remove one"))
                table.pop(old)
                continue
            table[name] = table.pop(old)
            self.notices.append(Problem(join(path, old), f'is called "{name}" now', '"tresse check --fix" rewrites it'))

    def value(self, annotation: Any, value: Any, path: str) -> Any:
        """`value` prepared for what `annotation` wants."""
        options = shapes.choices(annotation)
        plain = [shapes.bare(o) for o in options]
        if SecretStr in plain:
            return self._secret(value, path)
        if Path in plain and isinstance(value, str):
            return self._absolute(value)
        if isinstance(value, dict):
            if model := shapes.best_model(annotation, value):
                return self.model(model, value, path)
            held = next((h for h in map(shapes.values, options) if h is not None), None)
            return {k: self.value(held, v, join(path, k)) for k, v in value.items()} if held is not None else value
        if isinstance(value, list):
            held = next((h for h in map(shapes.items, options) if h is not None), None)
            return [self.value(held, v, join(path, i)) for i, v in enumerate(value)] if held is not None else value
        return value

    def _absolute(self, written: str) -> Path | str:
        """Paths are relative to the configuration, not to wherever the hub was started."""
        return (self.base / Path(written).expanduser()).resolve() if written else written

    def _secret(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            if isinstance(value, str) and value:
                self.notices.append(
                    Problem(path, "the secret stands in the file itself", 'better: { file = "..." } or { env = "..." }')
                )
            return value
        if set(value) == {"env"} and isinstance(value["env"], str):
            return self._from_environ(value["env"], path)
        if set(value) == {"file"} and isinstance(value["file"], str):
            return self._from_file(self.base / Path(value["file"]).expanduser(), path)
        self.problems.append(Problem(path, "is a secret", 'write { file = "..." } or { env = "..." }'))
        return _UNKNOWN

    def _from_environ(self, name: str, path: str) -> SecretStr:
        text = self.environ.get(name, "").strip()
        if not text:
            self.problems.append(Problem(path, f"the environment variable {name} is not set"))
            return _UNKNOWN
        return SecretStr(text)

    def _from_file(self, file: Path, path: str) -> SecretStr:
        try:
            text = file.read_text("utf-8").strip()
            mode = file.stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            self.problems.append(
                Problem(path, f"cannot read the secret in {file}: {why}", "a path is relative to the configuration")
            )
            return _UNKNOWN
        if not text:
            self.problems.append(Problem(path, f"the file {file} is empty"))
            return _UNKNOWN
        if os.name == "posix" and mode & stat.S_IROTH:
            self.notices.append(Problem(path, f"everybody on this machine can read {file}", f"chmod 600 {file}"))
        return SecretStr(text)
