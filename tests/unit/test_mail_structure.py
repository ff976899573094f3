"""The cutter: the standard library's tree on well-formed mails, forgiving on others, cheap on bombs."""

from __future__ import annotations

import contextlib
import email
from email.message import EmailMessage, Message
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mail.headers import Unreadable
from hub.mail.structure import DEPTH, PARTS, cut
from tests.cheap import cheap

KINDS = st.sampled_from(["mixed", "alternative", "related", "report", "digest"])
TEXTS = st.text("ab -=.\n_:é", max_size=40)


def leaf(text: str) -> EmailMessage:
    found = EmailMessage(policy=SMTP)
    found.set_content(text, cte="quoted-printable")
    return found


def container(kind: str, children: list[EmailMessage]) -> EmailMessage:
    found = EmailMessage(policy=SMTP)
    found["Content-Type"] = f"multipart/{kind}"
    for child in children:
        found.attach(child)
    return found


TREES = st.recursive(
    TEXTS.map(leaf),
    lambda children: st.tuples(KINDS, st.lists(children, min_size=1, max_size=4)).map(lambda c: container(*c)),
    max_leaves=12,
)


def types_of(message: Message) -> list[tuple[str, bytes]]:
    """The standard library's tree, depth first: types, and the raw bodies of leaves."""
    kind = message.get_content_type()
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        children = [pair for child in message.get_payload() for pair in types_of(child)]  # type: ignore[union-attr,arg-type]
        return [(kind, b""), *children]
    return [(kind, str(message.get_payload()).encode("ascii", "surrogateescape"))]


@given(TREES)
def test_well_formed_mails_are_cut_as_the_standard_library_does(tree: EmailMessage) -> None:
    data = tree.as_bytes()
    parts = cut(data)
    ours = [(p.content_type, b"" if p.multipart else p.data[p.start : p.end]) for p in parts]
    assert ours == types_of(email.message_from_bytes(data))
    assert [p.number for p in parts] == list(range(len(parts)))


def body(kind: bytes, text: bytes) -> bytes:
    return b"Content-Type: multipart/" + kind + b"\r\n\r\n" + text


@pytest.mark.parametrize(
    ("data", "bodies"),
    [
        (body(b"mixed; boundary=b", b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n"), [b"one", b"two"]),
        (body(b"mixed; boundary=b", b"--b\n\none\n--b\n\ntwo"), [b"one", b"two"]),  # truncated
        (body(b"mixed", b"--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b--\r\n"), [b"one"]),  # no boundary named
        (body(b"mixed; boundary=wrong", b"--b\nContent-Type: text/plain\n\none\n--b--\n"), [b"one"]),
        (body(b"mixed; boundary=b", b"--b\n\none\n--b--\n--b\n\ntwo\n--b--\n"), [b"one", b"two"]),  # glued together
        (body(b"mixed; boundary=b", b"--b  \n\none\n--bc\nstill one\n--b-- \n"), [b"one\n--bc\nstill one"]),
        (body(b"mixed; boundary=b", b"preamble --b\n--b\n\none\n--b--\nepilogue"), [b"one"]),
        (body(b"mixed; boundary=b", b"--b\nno headers, no empty line\n--b--"), [b"no headers, no empty line"]),
        (b"Subject: cr only\r\rbody\rmore", [b"body\nmore"]),
    ],
)
def test_broken_mails_are_cut_too(data: bytes, bodies: list[bytes]) -> None:
    assert [p.body for p in cut(data) if not p.multipart] == bodies


def test_a_multipart_without_any_boundary_is_one_text() -> None:
    (part,) = cut(body(b"mixed", b"just words"))
    assert (part.body, part.multipart) == (b"just words", False)


def test_the_caps() -> None:
    many = body(b"mixed; boundary=b", b"--b\n\nx\n" * (PARTS - 1) + b"--b--")
    assert len(cut(many)) == PARTS
    with pytest.raises(Unreadable):
        cut(body(b"mixed; boundary=b", b"--b\n\nx\n" * PARTS + b"--b--"))
    assert max(p.depth for p in cut(nested(DEPTH))) == DEPTH
    with pytest.raises(Unreadable):
        cut(nested(DEPTH + 1))


def nested(depth: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(depth)) + b"\nx\n"


@pytest.mark.parametrize(
    "data",
    [
        body(b"mixed; boundary=b", b"--b\n\nx\n" * 100_000),
        nested(10_000),
        body(b"mixed; boundary=b", b"--b" + b" " * 500_000),
        body(b"mixed; boundary=-", b"-" * 500_000),
        body(b"mixed; boundary=-", b"---\n" * 100_000),
        body(b"mixed", b"--\n" * 200_000),
        body(b"mixed", b"--x\n" * 200_000),
        b"a" * 1_000_000,
        b"a:\n" * 300_000,
        b"\n" * 1_000_000,
        b"Content-Type: " + b"multipart/mixed;" * 4000 + b"\n\n",
    ],
    ids=range(11),
)
def test_a_mail_bomb_costs_no_more_than_its_bytes(data: bytes) -> None:
    with cheap(1), contextlib.suppress(Unreadable):
        cut(data)
