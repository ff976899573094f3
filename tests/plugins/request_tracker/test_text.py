"""Text that must stay where it is put."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from hub.sdk import Identity
from hub.testing import values
from plugins.crm.request_tracker.client import quoted
from plugins.crm.request_tracker.fields import differing, one_line
from plugins.crm.request_tracker.gate import as_mail
from plugins.crm.request_tracker.tickets import address


@given(st.text())
def test_a_quoted_string_is_one_string(value: str) -> None:
    """As RT::SQL reads it: a quote ends the string unless a backslash stands before it."""
    written = quoted(value)
    found = re.fullmatch(r"'((?:\\.|[^\\'])*)'", written, re.DOTALL)
    assert found
    assert re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) == value


@given(st.text())
def test_a_name_is_never_an_address(name: str) -> None:
    written = address(Identity("email", "eve@customer.example", name))
    assert written.count("@") == 1
    assert written.count("<") in (0, 1)


@given(st.text(), st.text(), st.text())
def test_a_mail_keeps_its_headers_apart(name: str, subject: str, message_id: str) -> None:
    said = values.message(sender=Identity("email", values.ALICE.value, name), subject=subject, message_id=message_id)
    head = as_mail(values.case(), said, "abc", "postmaster@shop.example").partition(b"\n\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\n") if line[:1] not in (b" ", b"\t")]
    allowed = {b"Content-Type", b"MIME-Version", b"Content-Transfer-Encoding", b"From", b"Subject", b"Date"}
    assert set(names) <= allowed | {b"Message-ID", b"Errors-To", b"X-Tresse-Effect"}
    assert len(names) == len(set(names))


def test_equal_values_are_not_written_again() -> None:
    ticket = {"CustomFields": [{"name": "A", "values": ["x\r\ny\n"]}, {"name": "B", "values": ["old"]}]}
    assert differing({"A": "x\ny", "B": "", "C": "unknown"}, ticket) == {"B": None}
    assert one_line("a\r\n b\tc\0") == "a b c"
