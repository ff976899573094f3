"""What the log must not say."""

from __future__ import annotations

import json
import logging

from hub.log import configure, logger


def test_secrets_and_people_are_hidden(capsys):
    configure("INFO", "json")
    logger(instance="support").warning("gone", reason="550 <alice@customer.example>: unknown", api_token="t0ps3cret")
    said = capsys.readouterr().err
    assert "alice" not in said
    assert "***@customer.example" in said
    assert "t0ps3cret" not in said
    assert '"instance": "support"' in said


def test_libraries_speak_in_lines_like_ours(capsys):
    configure("INFO", "json")
    try:
        raise ValueError("Alice's private words")
    except ValueError:
        logging.getLogger("some.library").exception("it broke\n  on two lines")
    logging.getLogger("some.library").info("chatter")
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["event"], said["library"]) == ("error", "it broke on two lines", "some.library")
    assert said["error"] == "ValueError"
    assert "test_log.py" in said["where"]
    assert "private words" not in line


def test_a_line_is_one_write(monkeypatch):
    """Processes of one hub may share a file: a line's end that comes later ends up behind another one's words."""
    written: list[str] = []

    class Stream:
        def write(self, text: str) -> None:
            written.append(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr("sys.stderr", Stream())
    configure("INFO", "json")
    logger().info("hello")
    assert len(written) == 1
    assert written[0].endswith("}\n")
