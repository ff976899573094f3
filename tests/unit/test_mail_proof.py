"""Who sent it: trusted servers' words count, strangers' do not."""

from __future__ import annotations

import pytest

from hub.mail.addresses import Address
from hub.mail.proof import prove
from hub.sdk import Proof

FROM = [Address("Alice", "alice@customer.example")]
TRUSTED = ["mx.shop.example"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("mx.shop.example; dmarc=pass header.from=customer.example", "dmarc=pass header.from=customer.example"),
        ("MX.shop.example 1; dmarc=pass (p=none dis=none) header.from=Customer.Example", "dmarc=pass"),
        ("mx.shop.example; dkim=pass header.d=customer.example header.s=x", "dkim=pass header.d=customer.example"),
        ("mx.shop.example; dkim=pass header.i=@customer.example", "dkim=pass header.i=customer.example"),
        ("mx.shop.example; spf=fail; dkim=pass header.d=customer.example", "dkim=pass"),
        ("mx.shop.example; spf=pass (a (nested) comment; dmarc=fail) smtp.mailfrom=alice@customer.example", "spf=pass"),
        ('"mx.shop.example"; spf=pass smtp.mailfrom="customer.example"', "spf=pass smtp.mailfrom=customer.example"),
    ],
)
def test_verified(value: str, reason: str) -> None:
    verdict = prove([value], FROM, TRUSTED)
    assert verdict.proof is Proof.VERIFIED
    assert verdict.reason.startswith(reason)
    assert verdict.reason.endswith("(mx.shop.example)")


@pytest.mark.parametrize(
    "value",
    [
        "mx.evil.example; dmarc=pass header.from=customer.example",
        "mx.shop.example.evil.example; dmarc=pass",
        "mx.shop.example; dmarc=fail",
        "mx.shop.example; dmarc=pass header.from=evil.example",
        "mx.shop.example; dkim=pass header.d=evil.example",
        "mx.shop.example; dkim=pass header.d=notcustomer.example",
        "mx.shop.example; dkim=pass header.d=evil.customer.example",  # a customer of theirs may own it
        "mx.shop.example; dkim=pass header.d=example",
        "mx.shop.example; dkim=pass",
        "mx.shop.example; spf=pass smtp.helo=customer.example",
        "mx.shop.example; spf=neutral smtp.mailfrom=customer.example",
        "mx.shop.example (dmarc=pass); none",
        "dmarc=pass mx.shop.example",
        "",
        ";;;===" * 100,
    ],
)
def test_claimed(value: str) -> None:
    assert prove([value], FROM, TRUSTED).proof is Proof.CLAIMED


def test_only_the_topmost_word_of_a_trusted_server_counts() -> None:
    ours = "mx.shop.example; dmarc=fail header.from=customer.example"
    forged = "mx.shop.example; dmarc=pass header.from=customer.example"
    assert prove([ours, forged], FROM, TRUSTED).proof is Proof.CLAIMED
    assert prove([forged, ours], FROM, TRUSTED).proof is Proof.VERIFIED
    both = [*TRUSTED, "spam.shop.example"]
    assert prove([ours, "spam.shop.example; dmarc=pass"], FROM, both).proof is Proof.VERIFIED


def test_a_parent_domain_signs_for_its_subdomain() -> None:
    senders = [Address("", "a@news.customer.example")]
    assert prove(["mx.shop.example; dkim=pass header.d=customer.example"], senders, TRUSTED).proof is Proof.VERIFIED


def test_several_authors_or_none_prove_nothing() -> None:
    value = "mx.shop.example; dmarc=pass"
    assert prove([value], [*FROM, Address("", "bob@x.example")], TRUSTED).proof is Proof.CLAIMED
    assert prove([value], [], TRUSTED).proof is Proof.NONE
    assert prove([value], [Address("Alice", "")], TRUSTED).proof is Proof.CLAIMED


def test_the_reason_says_what_was_heard() -> None:
    assert prove(["mx.shop.example; spf=softfail smtp.mailfrom=x; dmarc=none"], FROM, TRUSTED).reason == (
        "Authentication-Results: spf=softfail, dmarc=none (mx.shop.example)"
    )
    assert prove([], FROM, TRUSTED).reason == "Authentication-Results: - (mx.shop.example)"
    assert prove([], FROM, []).reason == "Authentication-Results: -"
