"""What the log must not say."""

from __future__ import annotations

from hub.log import configure, logger


def test_secrets_and_people_are_hidden(capsys):
    configure("INFO", "json")
    logger(instance="support").warning("gone", reason="550 <alice@customer.example>: unknown", api_token="t0ps3cret")
    said = capsys.readouterr().err
    assert "alice" not in said
    assert "***@customer.example" in said
    assert "t0ps3cret" not in said
    assert '"instance": "support"' in said
