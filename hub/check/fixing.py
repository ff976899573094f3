"""`tresse check --fix`: renamed settings rewritten in the file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hub.config import KINDS, TABLES, BrandSettings
from hub.config import fix as rewritten
from hub.config.load import read
from hub.registry import Registry
from hub.sdk import ConfigError, Settings


def fix(path: Path, registry: Registry) -> list[str]:
    """Rewrite renamed settings in the file, comments kept. Returns what was changed.

    Raises ConfigErrors where the file is not TOML or cannot be rewritten safely.
    """
    tables = read(path)
    models: dict[tuple[str, ...], type[Settings]] = {(name,): model for name, model in TABLES.items()}
    models |= {("brands", name): BrandSettings for name in _names(tables, "brands")}
    for kind in KINDS:
        for name in _names(tables, kind):
            try:
                models[kind, name] = registry.component(kind, str(tables[kind][name].get("use"))).settings_model
            except ConfigError:
                continue  # the check itself names it
    text, changes = rewritten(path.read_text("utf-8"), models)
    if changes:
        _replace(path, text)
    return changes


def _names(tables: dict[str, Any], kind: str) -> list[str]:
    entries = tables.get(kind)
    return [n for n, t in entries.items() if isinstance(t, dict)] if isinstance(entries, dict) else []


def _replace(path: Path, text: str) -> None:
    """All or nothing: a configuration cut in half would stop the hub at its next start."""
    target = path.resolve()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
        file.write(text)
    Path(file.name).chmod(target.stat().st_mode & 0o7777)
    Path(file.name).replace(target)
