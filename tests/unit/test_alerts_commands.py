"""The table [alerts], what the check says of it, and the commands."""

from __future__ import annotations

import json
import threading
import time

import pytest

from hub.check import check
from hub.cli import main
from hub.config import ConfigErrors, load
from hub.pipeline import tell
from hub.registry import Registry
from tests.unit.test_alerts_told import alarm, open_world, receiver, told, webhook
from tests.world import World

__all__ = ["open_world", "receiver"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('webhook = "ftp://x"', "write an address"),
        ('webhook = "https://x.example/a"', "needs its secret"),
        ('secret = "whsec_c2hvcnQ="', "24 to 64 bytes"),
        ('mail = "nobody"', "write an address"),
        ('language = "de"', "'fr' or 'en'"),
    ],
)
def test_what_is_wrong_in_the_table_is_said(tmp_path, written, said):
    file = tmp_path / "hub.toml"
    file.write_text(f"[alerts]\n{written}\n")
    with pytest.raises(ConfigErrors) as raised:
        load(file)
    assert said in str(raised.value)


def test_the_check_knocks_at_the_webhook_and_sends_nothing(tmp_path, receiver):
    file = tmp_path / "hub.toml"
    file.write_text(
        f'[web]\nlisten = "127.0.0.1:0"\n[alerts]\n{webhook(receiver)}via = "suport"\nmail = "a@b.example"\n'
    )
    report = check(file, live=True, registry=Registry())
    assert [r.ok for r in report.results if r.path == "alerts"] == [True]
    assert [p.path for p in report.problems] == ["alerts.via"]
    assert "alerts.mail" in {n.path for n in report.notices}
    assert receiver.posts == []
    receiver.server.shutdown()
    receiver.server.server_close()
    report = check(file, live=True, registry=Registry())
    assert "cannot be reached" in " ".join(map(str, report.problems))


@pytest.fixture
def tresse(capsys):
    def run(world: World, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "-c", str(world.file)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_the_command_lists_what_is_open(open_world, receiver, tresse):
    world = open_world("")
    alarm(world)
    assert "password is refused" in tresse(world, "alerts")[1]
    listed = json.loads(tresse(world, "alerts", "--json")[1])["alerts"]
    assert [a["key"] for a in listed] == ["some-cause"]
    code, _, err = tresse(world, "alerts", "test")
    assert code == 1
    assert "[alerts]" in err


def test_the_command_tries_it_out(open_world, receiver, tresse):
    world = open_world(webhook(receiver, 'after = "5m"'))
    code, _, err = tresse(world, "alerts", "test", "--wait", "1")
    assert (code, receiver.posts) == (1, [])
    assert "no running hub" in err
    stop = threading.Event()

    def running() -> None:
        while not stop.wait(0.05):
            world.clock.at = world.clock.at.now(world.clock.at.tzinfo)
            tell.tell_due(world.hub.parts)

    hub = threading.Thread(target=running)
    hub.start()
    try:
        code, out, _ = tresse(world, "alerts", "test")
        deadline = time.monotonic() + 10  # the end of the first test is told before the second begins
        while len(receiver.posts) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        receiver.answers = [(500, {})]
        bad, _, err = tresse(world, "alerts", "test")
    finally:
        stop.set()
        hub.join(10)
    assert code == 0
    assert "webhook: told" in out
    assert bad == 1, (receiver.said, receiver.answers, told(world))
    assert "500" in err
    assert receiver.said[0]["data"]["text"] == "Ceci est un essai ; tout va bien."
