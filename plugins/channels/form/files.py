"""Which files a stranger may leave: by number, size, ending, and the first bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hub.sdk import Upload

from .settings import FormSettings
from .wrong import Wrong

_TYPES: dict[str, tuple[str, re.Pattern[bytes] | None]] = {
    "pdf": ("application/pdf", re.compile(rb"(?s).{0,1000}%PDF-")),  # readers look for it in the first 1,024 bytes
    "jpg": ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    "jpeg": ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    "png": ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    "gif": ("image/gif", re.compile(rb"GIF8[79]a")),
    "webp": ("image/webp", re.compile(rb"(?s)RIFF.{4}WEBP")),
    "heic": ("image/heic", re.compile(rb"(?s).{4}ftyp(?:heic|heix|hevc|mif1|msf1)")),
    "txt": ("text/plain", re.compile(rb"[^\x00]*\Z")),
    "csv": ("text/csv", re.compile(rb"[^\x00]*\Z")),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", re.compile(rb"PK\x03\x04")),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", re.compile(rb"PK\x03\x04")),
    "odt": ("application/vnd.oasis.opendocument.text", re.compile(rb"PK\x03\x04")),
    "ods": ("application/vnd.oasis.opendocument.spreadsheet", re.compile(rb"PK\x03\x04")),
    "zip": ("application/zip", re.compile(rb"PK(?:\x03\x04|\x05\x06)")),
    "mp4": ("video/mp4", re.compile(rb"(?s).{4}ftyp")),
    "mov": ("video/quicktime", re.compile(rb"(?s).{4}(?:ftyp|moov|mdat|wide)")),
}

_NEVER = re.compile(rb"MZ|\x7fELF|#!|\xca\xfe\xba\xbe|\s*<(?:!doctype|html|script|svg|\?php)", re.IGNORECASE)
"""Programs and pages with scripts, whatever they are called."""


def problem(files: Sequence[Upload], settings: FormSettings) -> Wrong | None:
    """The first thing that is wrong with the files, or None."""
    if len(files) > settings.max_files:
        return Wrong("wrong.file_count", {"count": settings.max_files})
    for file in files:
        ending, types = _ending(file.name), ", ".join(settings.file_types)
        if len(file.data) > settings.max_file_size:
            return Wrong("wrong.file_size", {"name": file.name, "size": settings.max_file_size})
        if ending not in settings.file_types:
            return Wrong("wrong.file_type", {"name": file.name, "types": types})
        if not _fits(ending, file.data):
            return Wrong("wrong.file_content", {"name": file.name})
    if sum(len(file.data) for file in files) > settings.max_total_size:
        return Wrong("wrong.file_total", {"size": settings.max_total_size})
    return None


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _fits(ending: str, data: bytes) -> bool:
    pattern = _TYPES.get(ending, ("", None))[1]
    return not _NEVER.match(data) and (pattern is None or pattern.match(data) is not None)


def named(file: Upload) -> Upload:
    """The file under its last name alone, with the type that its ending has; the sender's word for it is ignored."""
    name = file.name.replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if c.isprintable()).strip()[-150:] or "file"
    return replace(file, name=name, content_type=_TYPES.get(_ending(name), ("application/octet-stream", None))[0])
