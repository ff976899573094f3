"""One form for each address (hub/rules/identities.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rules import identities
from hub.sdk import Identity


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Alice@Example.ORG", "alice@example.org"),
        ("  alice@example.org. ", "alice@example.org"),
        ("mailto:alice@example.org", "alice@example.org"),
        ("<alice@example.org>", "alice@example.org"),
        ("alice+shop@example.org", "alice+shop@example.org"),
        ("jörg@MÜNCHEN.de", "jörg@xn--mnchen-3ya.de"),
        ("post@xn--mnchen-3ya.de", "post@xn--mnchen-3ya.de"),
        ("root@localhost", "root@localhost"),
        ("x@[192.0.2.1]", "x@[192.0.2.1]"),
        ("o'neil@example.org", "o'neil@example.org"),
    ],
)
def test_email(written: str, meant: str) -> None:
    assert identities.canonical(Identity("email", written), "FR") == Identity("email", meant)


@pytest.mark.parametrize(
    "junk",
    ["", "alice", "@example.org", "alice@", "a b@example.org", "a@b@c", "a@ex..org", "a@-", "a\n@b.org", "a@ .org"],
)
def test_no_email(junk: str) -> None:
    assert identities.canonical(Identity("email", junk), "FR") is None


@pytest.mark.parametrize(
    ("written", "country", "meant"),
    [
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("+33 (0)6 12 34 56 78", "DE", "+33612345678"),
        ("0221/12345", "DE", "+4922112345"),  # SCENARIOS I06
        ("0049 (0)221-12345", "DE", "+4922112345"),
        ("0049 221 12345", "US", "+4922112345"),  # dialled as in Europe, read where 00 means nothing
        ("tel:+33612345678", "FR", "+33612345678"),
        ("+55 11 91234-5678", "BR", "+5511912345678"),
        ("+55 11 1234-5678", "BR", "+5511912345678"),  # without the ninth digit
        ("55 11 8123-4567", "BR", "+5511981234567"),
        ("+55 11 3123-4567", "BR", "+551131234567"),  # a landline stays one
    ],
)
def test_phone(written: str, country: str, meant: str) -> None:
    assert identities.canonical(Identity("phone", written), country) == Identity("phone", meant)


@pytest.mark.parametrize("junk", ["", "anonymous", "3631", "0", "+", "2" * 40, "06 12 34 56 78 99 12 99"])
def test_no_phone(junk: str) -> None:
    assert identities.canonical(Identity("phone", junk), "FR") is None


def test_phone_without_a_country_needs_its_code() -> None:
    assert identities.phone("06 12 34 56 78", "") == ""
    assert identities.phone("+33 6 12 34 56 78", "") == "+33612345678"


def test_handles_and_crm_ids() -> None:
    assert identities.canonical(Identity("handle", " @Alice.M "), "FR") == Identity("handle", "alice.m")
    assert identities.canonical(Identity("handle", "two words"), "FR") is None
    assert identities.canonical(Identity("crm", " Kd-007 "), "FR") == Identity("crm", "Kd-007")
    assert identities.canonical(Identity("crm", "  "), "FR") is None


def test_names_become_one_plain_line() -> None:
    said = identities.canonical(Identity("email", "a@b.org", "  Alice\r\n\tMartin \u202eeve"), "FR")
    assert said == Identity("email", "a@b.org", "Alice Martin eve")
    assert len(identities.clean_name("x" * 999)) == identities.NAME_LENGTH


@pytest.mark.parametrize("address", ["info@x.org", "Support+fr@x.org", "service.client@x.org", "no-reply@x.org"])
def test_role_addresses(address: str) -> None:
    assert identities.is_role(address)


@pytest.mark.parametrize("address", ["alice@x.org", "information.martin@x.org", "salesman@x.org", ""])
def test_people_are_not_roles(address: str) -> None:
    assert not identities.is_role(address)


@given(kind=st.sampled_from(["email", "phone", "handle", "crm", "other"]), value=st.text(max_size=400))
def test_canonical_never_raises_and_is_stable(kind: str, value: str) -> None:
    once = identities.canonical(Identity(kind, value), "FR")
    if once is not None:
        assert 0 < len(once.value) <= 320
        assert identities.canonical(once, "FR") == once


@given(st.from_regex(r"[a-zA-Z0-9.+]{1,20}@[a-zA-Z0-9]{1,20}\.[a-z]{2,5}", fullmatch=True))
def test_case_makes_no_difference(address: str) -> None:
    assert identities.email(address.upper()) == identities.email(address.lower()) != ""
