"""Parameters of Content-Type and Content-Disposition, with RFC 2231 in its real-life spellings."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from hub.mail.charset import decode
from hub.mail.words import decode_words

_PARAMETER = re.compile(r"(?<![;\s])[;\s]++([^\s=;\"]++)\s*+=\s*+(?:\"((?:[^\"\\]|\\.)*+)\"?|([^;]*+))", re.DOTALL)
_NAME = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")
_TYPE = re.compile(r"\s*([^\s;/()]+)\s*(?:/\s*([^\s;()]+))?")


class Value(NamedTuple):
    """A structured header value: ``text/plain`` or ``attachment``, and its parameters."""

    main: str
    parameters: dict[str, str]


@lru_cache(maxsize=512)
def parse(value: str) -> Value:
    """Split ``main; name=value; ...``; names and `main` in lower case, values decoded."""
    found = _TYPE.match(value)
    main = "" if not found else found[1] + ("/" + found[2] if found[2] else "")
    parameters: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, quoted, bare in _PARAMETER.findall(value):
        text = quoted.replace('\\"', '"').replace("\\\\", "\\") if quoted else bare.strip()
        if "*" in name:
            _collect(name, text, pieces)
        else:
            parameters.setdefault(name.lower(), decode_words(text) if "=?" in text else text)
    for name, numbered in pieces.items():
        parameters[name] = _joined(numbered)
    return Value(main.lower(), parameters)


def _collect(name: str, text: str, pieces: dict[str, dict[int, tuple[bool, str]]]) -> None:
    found = _NAME.fullmatch(name)
    if found:
        pieces.setdefault(found[1].lower(), {}).setdefault(int(found[2] or 0), (bool(found[3]), text))


def _joined(numbered: dict[int, tuple[bool, str]]) -> str:
    """The value of ``name*0*=``, ``name*1=``, ... (RFC 2231, sections 3 and 4)."""
    pieces = [numbered[n] for n in sorted(numbered)]
    if not any(encoded for encoded, _ in pieces):
        return decode_words("".join(text for _, text in pieces))
    first = pieces[0][1]
    charset = ""
    if first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
        pieces[0] = (True, first)
    data = b"".join(unquote_to_bytes(text) if encoded else text.encode() for encoded, text in pieces)
    return decode_words(decode(data, charset or "utf-8"))
