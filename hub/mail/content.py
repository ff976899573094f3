"""What a part holds: its decoded bytes, its text, its file name."""

from __future__ import annotations

import binascii
import re

from hub.mail import parameters
from hub.mail.charset import codec, decode
from hub.mail.structure import Part
from hub.mail.words import decode_base64

_SOFT_BREAK_WITH_SPACES = re.compile(rb"=[ \t]++(?=\r?\n)")
_META_CHARSET = re.compile(rb"<meta[^<>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_UNFIT_FOR_NAMES = dict.fromkeys([*range(32), 127, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Control characters, and those that turn the direction of writing ("exe.fdp" shown as "pdf.exe")."""


def disposition(part: Part) -> str:
    """``attachment``, ``inline`` or empty."""
    return parameters.parse(part.headers.plain("content-disposition")).main


def file_name(part: Part) -> str:
    """The name the sender gave the part, for showing; a program that stores it must choose its own."""
    value = parameters.parse(part.headers.plain("content-disposition")).parameters
    name = value.get("filename") or value.get("name") or part.parameters.get("name") or part.parameters.get("filename")
    return (name or "").translate(_UNFIT_FOR_NAMES).strip()


def decoded(part: Part) -> bytes:
    """The content with its transfer encoding taken off. Never raises: junk is skipped."""
    body = part.body
    encoding = part.headers.plain("content-transfer-encoding").lower().strip(" \"';.")
    if encoding == "quoted-printable":
        if b"= " in body or b"=\t" in body:
            body = _SOFT_BREAK_WITH_SPACES.sub(b"=", body)
        return binascii.a2b_qp(body)
    if encoding == "base64":
        return decode_base64(body)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return _uudecoded(body)
    return body


def text(part: Part, data: bytes) -> str:
    """The decoded bytes of a text part as text, its lines ended by one line feed."""
    charset = part.parameters.get("charset", "")
    if part.content_type == "text/html" and not codec(charset) and (meta := _META_CHARSET.search(data, 0, 4096)):
        charset = meta[1].decode("ascii")
    found = decode(data, charset)
    return found.replace("\r\n", "\n").replace("\r", "\n") if "\r" in found else found


def _uudecoded(body: bytes) -> bytes:
    out = bytearray()
    lines = body.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith(b"begin ")), -1)
    for line in lines[first + 1 :]:
        if line.strip() == b"end":
            break
        try:
            out += binascii.a2b_uu(line)
        except binascii.Error:
            # Some encoders end lines with garbage; the first character tells how much counts.
            out += _uu_prefix(line)
    return bytes(out)


def _uu_prefix(line: bytes) -> bytes:
    wanted = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
    try:
        return binascii.a2b_uu(line[:wanted])
    except binascii.Error:
        return b""
