"""Header values to text: raw 8-bit bytes, and encoded words (RFC 2047) as they really come.

Real mails cut a character in two encoded words, leave out the spaces between words, put spaces
inside them and encode line ends; all of that is repaired, in linear time.
"""

from __future__ import annotations

import binascii
import re

from hub.mail.charset import decode

_WORD = re.compile(r"=\?([^?\s=]{1,60})\?([bBqQ])\?((?:[^?]|\?(?!=))*+)\?=")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_BREAKS = re.compile(r"[\r\n\t\x0b\x0c]+ *")
_CONTROLS = dict.fromkeys([*range(9), *range(14, 32), 127, 0xFEFF])
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def raw_text(value: bytes) -> str:
    """The value unfolded and read as UTF-8 or Windows-1252, its encoded words untouched."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    return decode(value).strip()


def decode_words(text: str) -> str:
    """Replace the encoded words in `text`; the result is one line."""
    if "=?" in text:
        text = _join(text)
    if not text.isprintable():
        text = _BREAKS.sub(" ", text).translate(_CONTROLS)
    return text.strip()


def _join(text: str) -> str:
    # Only up to the last "?=": so every candidate below finds its end, and the search stays linear.
    end = text.rfind("?=") + 2
    pieces: list[str] = []
    pending: list[bytes] = []
    charset = ""
    position = 0

    def flush() -> None:
        if pending:
            pieces.append(decode(b"".join(pending), charset))
            pending.clear()

    for word in _WORD.finditer(text, 0, max(end, 0)):
        between = text[position : word.start()]
        position = word.end()
        # RFC 2047, section 6.2: white space between encoded words belongs to neither.
        if between.strip() or not (pending or not between):
            flush()
            pieces.append(between)
        if word[1].lower() != charset.lower():
            flush()
            charset = word[1]
        pending.append(_bytes_of(word[2], word[3]))
    flush()
    pieces.append(text[position:])
    return "".join(pieces)


def _bytes_of(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    return decode_base64(data)


def decode_base64(data: bytes) -> bytes:
    """Base64 whatever its padding, and with junk in it. Never raises."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        clean = _NOT_BASE64.sub(b"", data)
        clean = clean[: len(clean) - (len(clean) % 4 == 1)]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
