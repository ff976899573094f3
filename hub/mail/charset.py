"""Bytes to text, whatever the mail claims about its charset.

The order is: what is declared (with its usual misspellings), UTF-8, Windows-1252. Over real
mails this repairs more than trusting the label: Latin-1 labels on Windows-1252 text and
`gb2312` labels on GB 18030 text are so common that the WHATWG Encoding Standard (section 4.2)
made them aliases.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

_ALIASES = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "ansi": "cp1252",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "big5": "cp950",
    "ks-c-5601-1987": "cp949",
    "euc-kr": "cp949",
    "windows-949": "cp949",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "x-mac-roman": "mac-roman",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "iso-10646-ucs-2": "utf-16-be",
    "iso-2022-jp": "iso2022_jp_ext",
}
_SHIFTED = frozenset({"utf-7", "hz", "iso2022_jp_ext", "iso2022_jp", "iso2022_kr", "utf-16", "utf-16-le", "utf-16-be"})
"""Codecs in which pure ASCII bytes do not mean themselves (as Python names them)."""
_ONE_BYTE_WESTERN = frozenset({"cp1252", "iso8859-15", "cp1254"})
_MULTI_BYTE = frozenset({"utf-8", "gb18030", "cp950", "big5hkscs", "cp949", "cp932", "euc_jp", *_SHIFTED})
_CODE_PAGE = re.compile(r"(?:x-)?(?:cp|windows|ibm|win|dos)[-_]?(\d{3,5})")
_LATIN = re.compile(r"(?:x-)?iso[-_]?8859[-_]?(\d{1,2})(?:[-_:].*)?")
_PLAUSIBLE = re.compile(r"[a-z0-9][a-z0-9_.:-]{1,39}")
_NOT_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
_EMPTY_PLACES = {0xDC00 + b: b for b in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_ISO_2022_JP = re.compile(rb"\x1b(?:\$[@B(]|\([JI])")


@lru_cache(maxsize=256)
def codec(declared: str) -> str:
    """The name Python knows for a declared charset; empty where it means nothing to us."""
    name = declared.strip(" \t\r\n\"'<>").lower().partition("*")[0].replace("_", "-").strip()
    name = _known_family(_ALIASES.get(name, name))
    name = _ALIASES.get(name, name)
    if not _PLAUSIBLE.fullmatch(name):
        return ""
    try:
        found = codecs.lookup(name).name
        b"-".decode(found)  # a LookupError for Python's codecs that do not make text (base64, rot13)
    except UnicodeError:
        pass  # one byte is not enough for every charset
    except (LookupError, ValueError):
        return ""
    return "" if found in _NOT_CHARSETS else found


def _known_family(name: str) -> str:
    """Python's spelling for "cp-850", "windows1252", "iso8859_15:1998" and their kin."""
    if page := _CODE_PAGE.fullmatch(name):
        return f"cp{page[1]}"
    if part := _LATIN.fullmatch(name):
        return f"iso-8859-{part[1]}"
    return name


def decode(data: bytes, declared: str = "") -> str:
    """`data` as text without NUL, byte-order mark or lone surrogates. Never raises."""
    name = codec(declared) if declared else ""
    if data.isascii() and name not in _SHIFTED:
        text = data.decode("ascii")
        # ISO-2022-JP is ASCII to the eye; it is often sent without saying so.
        if "\x1b" in text and _ISO_2022_JP.search(data):
            text = _strict(data, "iso2022_jp_ext") or text
    else:
        text = _repaired(data, name).removeprefix("\ufeff")
    return text.replace("\x00", "") if "\x00" in text else text


def _repaired(data: bytes, name: str) -> str:
    if name in _ONE_BYTE_WESTERN or not name:
        # Text in a one-byte charset that happens to be valid UTF-8 is, in practice, UTF-8.
        return _strict(data, "utf-8") or (_strict(data, name) if name else None) or _western(data)
    text = _strict(data, name)
    if text is None and name != "utf-8":
        text = _strict(data, "utf-8")
    if text is None and name in _MULTI_BYTE:
        text = _damaged(data, name)
    return _western(data) if text is None else text


def _strict(data: bytes, name: str) -> str | None:
    """The text, or None where the bytes are not in this charset."""
    try:
        text = data.decode(name)
        if name in _SHIFTED:
            text.encode("utf-8")  # UTF-7 and UTF-16 can carry half a surrogate pair, which no database takes
    except (UnicodeError, ValueError):
        return None
    return text


def _damaged(data: bytes, name: str) -> str | None:
    """Text in a multi-byte charset with a few broken characters; None where most are broken."""
    text = data.decode(name, "replace").encode("utf-8", "replace").decode("utf-8")
    strange = sum(not c.isascii() for c in text)
    return text if text.count("\ufffd") * 3 <= strange else None


def _western(data: bytes) -> str:
    """Windows-1252; its five empty places read as in Latin-1, as browsers do."""
    return data.decode("cp1252", "surrogateescape").translate(_EMPTY_PLACES)
