"""Header values: charsets, encoded words, parameters, addresses, dates, Message-IDs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mail import addresses, parameters
from hub.mail.charset import codec, decode
from hub.mail.dates import parse_date
from hub.mail.headers import LIMIT, Headers, Unreadable, begin, find
from hub.mail.references import message_id, references
from hub.mail.words import decode_base64, decode_words, raw_text
from tests.cheap import cheap


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        ("été".encode(), "utf-8", "été"),
        ("été".encode("latin-1"), "utf-8", "été"),
        ("été".encode(), "iso-8859-1", "été"),  # a wrong label on UTF-8
        (b"\x93quoted\x94 \x80", "iso-8859-1", "“quoted” €"),
        (b"\x93quoted\x94", "us-ascii", "“quoted”"),
        ("été".encode("cp850"), "cp-850", "été"),
        ("€".encode("iso-8859-15"), "ISO_8859-15:1998", "€"),
        ("été".encode("cp1252"), "x-unknown", "été"),
        ("été".encode("cp1252"), "ansi_x3.110-1983", "été"),
        ("été".encode(), "", "été"),
        ("𠮷镕".encode("gb18030"), "gb2312", "𠮷镕"),
        ("한국어".encode("cp949"), "ks_c_5601-1987", "한국어"),
        ("日本語".encode("iso2022_jp"), "ISO-2022-JP", "日本語"),
        ("日本語".encode("iso2022_jp"), "", "日本語"),
        ("Żółć".encode("cp1250"), "windows-1250", "Żółć"),
        (b"+AOk-t+AOk-", "utf-7", "été"),
        (b"\xef\xbb\xbfabc", "utf-8", "abc"),
        (b"a\x00b", "utf-8", "ab"),
        (b"\x81\x9d", "", "\x81\x9d"),
        ("äöü".encode() + b"\xff" + "äöü".encode(), "utf-8", "äöü�äöü"),  # one broken byte in good text
    ],
)
def test_charsets_are_repaired(data: bytes, declared: str, text: str) -> None:
    assert decode(data, declared) == text


@pytest.mark.parametrize(
    "name", ["base64", "rot13", "zlib", "idna", "undefined", "../os", "", "x" * 100, "mbcs", "\x00"]
)
def test_what_is_no_charset_is_none(name: str) -> None:
    assert codec(name) == ""


@given(st.binary(max_size=300), st.text(max_size=20))
def test_decoding_never_fails_and_fits_a_database(data: bytes, declared: str) -> None:
    text = decode(data, declared)
    assert "\x00" not in text
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"=?utf-8?Q?caf=C3=A9_noir?=", "café noir"),
        (b"=?utf-8?B?w6l0w6k=?=", "été"),
        (b"=?UTF-8?Q?=C3?=\r\n =?UTF-8?Q?=A9t=C3=A9?=", "été"),  # cut inside a character
        (b"=?UTF-8?B?w6l0?= =?utf-8?Q?=C3=A9?=", "été"),
        (b"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
        (b"Re: =?iso-8859-1?Q?=E9t=E9?= chaud", "Re: été chaud"),
        (b"=?utf-8?Q?what? really?=", "what? really"),
        (b"=?utf-8?Q?two words?=", "two words"),
        (b"=?utf-8*fr?Q?=C3=A9?=", "é"),
        (b"=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        ("été".encode(), "été"),
        ("été".encode("latin-1"), "été"),
        (b"folded\r\n line", "folded line"),
        (b"=?utf-8?Q?never ends", "=?utf-8?Q?never ends"),
    ],
)
def test_header_values_read_as_one_line(value: bytes, text: str) -> None:
    assert decode_words(raw_text(value)) == text


@pytest.mark.parametrize("data", [b"w6l0w6k=", b"w6l0w6k", b"w6l0\r\nw6k=\r\n", b"w6!l0 w6k=", b"w6l0w6k=="])
def test_base64_forgives(data: bytes) -> None:
    assert decode_base64(data).decode() == "été"


@given(st.binary(max_size=200))
def test_base64_never_fails(data: bytes) -> None:
    decode_base64(data)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        ('text/plain; charset="utf-8"', "charset", "utf-8"),
        ("text/plain; CHARSET = utf-8 ", "charset", "utf-8"),
        ("text/plain charset=utf-8", "charset", "utf-8"),
        ('a/b; name="a; b.pdf"', "name", "a; b.pdf"),
        ("a/b; name=two words.pdf", "name", "two words.pdf"),
        ('a/b; name="say \\"hi\\".txt"', "name", 'say "hi".txt'),
        (r'a/b; name="C:\file.txt"', "name", r"C:\file.txt"),
        ("a/b; filename*=utf-8''re%C3%A7u.png", "filename", "reçu.png"),
        ("a/b; filename*0*=utf-8''fa; filename*1*=%C3%A7ade; filename*2=.pdf", "filename", "façade.pdf"),
        ("a/b; filename*1=b; filename*0=a", "filename", "ab"),
        ("a/b; filename=\"plain.txt\"; filename*=utf-8''%C3%A9.txt", "filename", "é.txt"),
        ('a/b; filename="=?utf-8?Q?re=C3=A7u?="', "filename", "reçu"),
        ('a/b; filename*0="=?utf-8?Q?re=C3"; filename*1="=A7u?="', "filename", "reçu"),
        ('a/b; boundary="unclosed', "boundary", "unclosed"),
    ],
)
def test_parameters(value: str, name: str, text: str) -> None:
    assert parameters.parse(value).parameters[name] == text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("john@x.example", [("", "john@x.example")]),
        ("John Doe <john@x.example>", [("John Doe", "john@x.example")]),
        ('"Doe, John" <john@x.example>', [("Doe, John", "john@x.example")]),
        ("Doe, John <john@x.example>", [("Doe, John", "john@x.example")]),
        ("john@x.example (John Doe)", [("John Doe", "john@x.example")]),
        ("undisclosed-recipients:;", []),
        ("Friends: Jo <jo@x.example>, al@x.example;", [("Jo", "jo@x.example"), ("", "al@x.example")]),
        ("a@x.example; b@x.example", [("", "a@x.example"), ("", "b@x.example")]),
        ("<@relay.example,@other.example:jo@x.example>", [("", "jo@x.example")]),
        ("<mailto:jo@x.example>", [("", "jo@x.example")]),
        ("jo @ x.example", [("", "jo@x.example")]),
        ('"john doe"@x.example', [("", '"john doe"@x.example')]),
        ("=?utf-8?Q?J=C3=A9r=C3=B4me,_Bob?= <j@x.example>", [("Jérôme, Bob", "j@x.example")]),
        ("=?utf-8?B?Sm8=?= =?utf-8?B?w6k=?= <j@x.example>", [("Joé", "j@x.example")]),
        ("Jo <jo@x.example", [("Jo", "jo@x.example")]),
        ("Jo", [("Jo", "")]),
        ('"real@x.example" <forged@y.example>', [("real@x.example", "forged@y.example")]),
        ("Pete (a (nested) chap) <pete(his box)@x.example>", [("Pete", "pete@x.example")]),
        ("a <a@x.example> b <b@x.example>", [("a", "a@x.example"), ("b", "b@x.example")]),
    ],
)
def test_addresses(value: str, found: list[tuple[str, str]]) -> None:
    assert [tuple(a) for a in addresses.parse(value)] == found


def test_too_many_addresses_are_refused() -> None:
    value = ", ".join(f"a{i}@x.example" for i in range(addresses.LIMIT))
    assert len(addresses.parse(value)) == addresses.LIMIT
    with pytest.raises(Unreadable):
        addresses.parse(value + ", one@more.example")


HOSTILE = [
    "(",
    '"',
    "<",
    "a@b ",
    "\\",
    "<@",
    ":;",
    "a, ",
    " ",
    '\\"',
    "=?",
    "=?a?q?",
    "=?a?q?b?=",
    "; ",
    ";a=",
    "a ",
    "''",
    "%",
    "a",
    "(a)",
]


@pytest.mark.parametrize("seed", HOSTILE)
def test_no_header_costs_more_than_its_length(seed: str) -> None:
    value = (seed * LIMIT)[: LIMIT - 10]
    with cheap(2):
        for variant in (value, value + "x@y", "x;" + value + "=1"):
            with contextlib.suppress(Unreadable):
                addresses.parse(variant)
            parameters.parse(variant)
            decode_words(variant)
            references(variant, variant)
            parse_date(variant)


@given(st.text(max_size=200))
def test_no_header_value_fails(value: str) -> None:
    addresses.parse(value)
    parameters.parse(value)
    decode_words(value)
    references(value, value)
    message_id(value)
    parse_date(value)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("Mon, 3 Mar 2025 10:11:12 +0100", (9, 11, 12)),
        ("3 Mar 2025 10:11 -0200 (CET)", (12, 11, 0)),
        ("Mon, 03 Mar 2025 10:11:12 GMT", (10, 11, 12)),
        ("Mon Mar  3 10:11:12 2025", (10, 11, 12)),
        ("2025-03-03T10:11:12Z", (10, 11, 12)),
        ("Mon, 3 Mar 2025 10:11:60 +0000", (10, 11, 59)),
    ],
)
def test_dates(value: str, at: tuple[int, int, int]) -> None:
    assert parse_date(value) == datetime(2025, 3, 3, *at, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "Mon, 99 Foo 2025 10:11:12 +0100", "31 Feb 2025 10:00 +0000", "Mon, 3 Mar 99999 10:11:12 +0100"],
)
def test_what_is_no_date_is_none(value: str) -> None:
    assert parse_date(value) is None


def test_references_are_oldest_first_and_unique() -> None:
    assert references("<a@x> <b@x>\t<a@x>", "<c@x>") == ("<a@x>", "<b@x>", "<c@x>")
    assert references("<a@x> <b@x>", "<a@x>") == ("<a@x>", "<b@x>")
    assert references("<long@ example>", "") == ("<long@example>",)
    assert references("", "Your mail of Monday <c@x>") == ("<c@x>",)
    assert references("a@x, b@x", "") == ("<a@x>", "<b@x>")
    assert (
        references("<JIRA.1.2.999@Atlassian.JIRA>", "<JIRA.1.2@Atlassian.JIRA>")[0] == "<JIRA.1.2.999@Atlassian.JIRA>"
    )


def test_message_ids() -> None:
    assert message_id(" <a@x> ") == "<a@x>"
    assert message_id("a@x") == "<a@x>"
    assert message_id("no-at-sign") == "<no-at-sign>"
    assert message_id("") == ""


def test_the_block_ends_where_the_body_begins() -> None:
    for data, body in (
        (b"A: 1\r\nB: 2\r\n\r\nbody", b"body"),
        (b"A: 1\n\nbody", b"body"),
        (b"A: 1\n folded\n\nbody", b"body"),
        (b"\nbody", b"body"),
        (b"A: 1", b""),
        (b"No header here\nmore", b"No header here\nmore"),
        (b"A: 1\nno header, the body begins\nmore\n", b"no header, the body begins\nmore\n"),
        (b"A: 1\njunk amid\nSubject: found\n\nbody", b"body"),
    ):
        fields, start = find(data, 0, len(data))
        assert data[start:] == body, data
        assert isinstance(fields, Headers)


def test_junk_before_the_headers_is_skipped() -> None:
    for junk in (b"From x@y Mon Mar  3\n", b">From x@y\r\n", b"\xef\xbb\xbf", b"\r\n\n"):
        data = junk + b"Subject: hello\n\nbody"
        fields, _ = find(data, begin(data), len(data))
        assert fields.text("subject") == "hello", junk


def test_headers_beyond_the_cap_are_refused() -> None:
    within = b"Subject: " + b"a" * (LIMIT - 20) + b"\n\nbody"
    assert find(within, 0, len(within))[0].names() == {"subject"}
    for data in (b"Subject: " + b"a" * LIMIT + b"\n\nbody", b"A: 1\n" * (LIMIT // 5 + 1) + b"\nbody"):
        with pytest.raises(Unreadable):
            find(data, 0, len(data))
