"""`tresse plugin new`: a small plugin, complete, that passes its contract tests. Our own plugins have this shape."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from hub.sdk import VERSION, ConfigError

KINDS = {"channel": "channels", "crm": "crm", "cti": "cti", "matcher": "matchers"}
"""The kinds as a person says them, and their tables in the configuration."""

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")


def write(name: str, kind: str, directory: Path) -> list[Path]:
    """Write the plugin into `directory`, which must be empty or absent. Returns the files.

    Raises ConfigError for a bad name or a directory with something in it.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f'"{name}" is not a usable name: small letters, digits and _, a letter first')
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty: name another with --directory")
    words = {
        "name": name,
        "Class": "".join(part.capitalize() for part in name.split("_")),
        "distribution": f"tresse-{name.replace('_', '-')}",
        "package": f"tresse_{name}",
        "kind": kind,
        "table": KINDS[kind],
        "major": VERSION.partition(".")[0],
        "next": str(int(VERSION.partition(".")[0]) + 1),
    }
    written = []
    for place, source in _files(kind).items():
        target = directory / Template(place).substitute(words)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(_text(source)).substitute(words), "utf-8")
        written.append(target)
    return written


def _files(kind: str) -> dict[str, str]:
    """Where each file goes, and the template it is made from."""
    return {
        "pyproject.toml": "pyproject.toml.tmpl",
        "README.md": "README.md.tmpl",
        "$package/__init__.py": "init.py.tmpl",
        f"$package/{kind}.py": f"{kind}.py.tmpl",
        "$package/sample.toml": f"{kind}.sample.toml.tmpl",
        f"tests/test_{kind}.py": f"{kind}.test.py.tmpl",
    }


def _text(source: str) -> str:
    return files(__package__).joinpath(source).read_text("utf-8")
