"""The check of a configuration: what it finds by reading, by asking, and what it leaves alone."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from hub.check import Result, check, fix
from hub.check import live as live_part
from hub.registry import Record, Registry
from hub.sdk import (
    CRM,
    AuthError,
    Case,
    Channel,
    ConfigError,
    Context,
    Effect,
    Notice,
    Outgoing,
    Secret,
    Settings,
    Unavailable,
    renamed_from,
)
from tests.hostile import Hostile

CANARY = "canary-91bc"


class BoxSettings(Settings):
    host: str = Field(description="Where it is.", json_schema_extra=renamed_from("server"))
    mood: str = Field("fine", description="What check() shall find.")
    password: Secret = Field(Secret(""), description="The password.")


class Box(Channel[BoxSettings]):
    name = "box"
    settings_model = BoxSettings
    summary = "A mailbox."
    blind = True
    closed: list[str] = []  # noqa: RUF012
    hold = threading.Event()

    def check(self) -> list[Notice] | None:
        moods: dict[str, Callable[[], Any]] = {
            "away": lambda: Unavailable("connection refused"),
            "refused": lambda: AuthError("the password is wrong", path="password"),
            "wrong": lambda: ConfigError("there is no such folder", path="folder"),
            "bug": lambda: KeyError(CANARY),
        }
        if self.settings.mood == "hang":
            self.hold.wait(5)
        if self.settings.mood in moods:
            error = moods[self.settings.mood]()
            raise error
        self.context.state.set("seen", "yes")
        return [Notice("the quota is nearly used up", "host")] if self.settings.mood == "full" else None

    def send(self, outgoing: Outgoing, effect: Effect) -> str:
        return effect.key

    def close(self) -> None:
        self.closed.append(self.context.id)


class Form(Channel[BoxSettings]):
    name = "form"
    settings_model = BoxSettings

    def __init__(self, settings: BoxSettings, context: Context) -> None:
        super().__init__(settings, context)
        if settings.mood == "bug":
            raise RuntimeError("no")

    def check(self) -> None:
        return None


class Desk(CRM[BoxSettings]):
    name = "desk"
    settings_model = BoxSettings

    def check(self) -> None:
        return None

    def save_case(self, case: Case, effect: Effect) -> str:
        return effect.key


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    for component in (Box, Form, Desk):
        assert made.offer(component) == ""
    return made


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Box, "closed", [])
    monkeypatch.setattr(Box, "hold", threading.Event())


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "hub.toml"
    file.write_text('[web]\nlisten = "127.0.0.1:0"\n' + text, "utf-8")
    return file


def problems(tmp_path: Path, registry: Registry, text: str, *, live: bool = False) -> list[str]:
    return [str(p) for p in check(write(tmp_path, text), live=live, registry=registry).problems]


def notices(tmp_path: Path, registry: Registry, text: str) -> list[str]:
    report = check(write(tmp_path, text), live=False, registry=registry)
    assert report.problems == []
    return [str(n) for n in report.notices]


GOOD = '[channels.a]\nuse = "box"\nhost = "h"\n'


def test_a_sound_configuration_has_nothing_to_say(tmp_path: Path, registry: Registry) -> None:
    told: list[Result] = []
    report = check(write(tmp_path, GOOD), live=False, registry=registry, tell=told.append)
    assert report.problems == []
    assert report.notices == []
    assert report.instances == ["channels.a"]
    assert told == report.results


def test_every_section_is_checked_even_in_a_broken_file(tmp_path: Path, registry: Registry) -> None:
    found = problems(
        tmp_path,
        registry,
        '[hub]\nnme = "x"\n[channels.a]\nuse = "box"\nhots = "h"\n[channels.b]\nuse = "bux"\n[crm.c]\nuse = "desk"\n',
    )
    assert 'hub.nme: unknown setting; did you mean "name"?' in found
    assert 'channels.a.hots: unknown setting; did you mean "host"?' in found
    assert 'channels.b.use: no plugin offers "bux" for [channels]; did you mean "box"?' in found
    assert "crm.c.host: is missing; Where it is." in found
    assert len(found) == 5


def test_what_names_something_else_must_name_it_right(tmp_path: Path, registry: Registry) -> None:
    found = problems(
        tmp_path,
        registry,
        '[brands.acme]\nname = "Acme"\n'
        + GOOD
        + 'brand = "acmé"\n[crm.c]\nuse = "desk"\nhost = "h"\nchannels = ["a", "suport"]\n',
    )
    assert found == [
        'channels.a.brand: there is no [brands.acmé]; did you mean "acme"?',
        "crm.c.channels[1]: there is no [channels.suport]; known here: a",
    ]


def test_the_house_itself(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "answers.json").write_text('{"answers": 3}')
    found = problems(
        tmp_path,
        registry,
        '[hub]\ndata = "file/var"\n[answers]\nfile = "answers.json"\n[database]\nurl = "postgresql+nodriver://h/x"\n',
    )
    assert any(f.startswith("hub.data: cannot write to") for f in found)
    assert any(f.startswith("answers.file: ") for f in found)
    assert any(f.startswith("database.url: ") for f in found)


def test_a_databases_password_is_not_shown(tmp_path: Path, registry: Registry) -> None:
    (found,) = problems(tmp_path, registry, f'[database]\nurl = "what is {CANARY} this"\n')
    assert found.startswith("database.url: is not a database URL")
    assert CANARY not in found


def test_a_missing_file_of_answers(tmp_path: Path, registry: Registry) -> None:
    (found,) = problems(tmp_path, registry, '[answers]\nfile = "absent.toml"\n')
    assert found.startswith("answers.file: ")
    assert "absent.toml" in found


def test_one_voice_per_case(tmp_path: Path, registry: Registry) -> None:
    form = '[channels.f]\nuse = "form"\nhost = "h"\nacknowledge = "hub"\n'
    assert notices(tmp_path, registry, form) == [
        'channels.f.acknowledge: "form" cannot send, so the hub cannot acknowledge here; set "nobody"'
    ]
    alone = GOOD + 'acknowledge = "desk"\n'
    (found,) = notices(tmp_path, registry, alone)
    assert "no [crm] section keeps this channel's cases" in found
    assert notices(tmp_path, registry, alone + '[crm.c]\nuse = "desk"\nhost = "h"\n') == []
    elsewhere = '[channels.b]\nuse = "box"\nhost = "h"\n[crm.c]\nuse = "desk"\nhost = "h"\nchannels = ["b"]\n'
    assert len(notices(tmp_path, registry, alone + elsewhere)) == 1


def test_what_deserves_a_look(tmp_path: Path, registry: Registry) -> None:
    registry.records.append(Record("horn", "horn", "horns", "1", error="ImportError: cracked"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "hub.toml"
        file.write_text(f'[web]\nlisten = "127.0.0.1:{port}"\n')
        found = [str(n) for n in check(file, live=False, registry=registry).notices]
    assert "plugin horn: was not loaded: ImportError: cracked; it comes with horns" in found
    assert "channels: no channel is configured, so nothing comes in; add [channels.NAME]" in found
    assert f"web.listen: 127.0.0.1:{port} is in use; by a running hub, or by something else" in found
    file.write_text('[web]\nlisten = "0.0.0.0:0"\n')
    assert any(n.path == "hub.address" for n in check(file, live=False, registry=registry).notices)


@pytest.mark.parametrize(
    ("mood", "says"),
    [
        ("away", "channels.a: cannot be reached: connection refused"),
        ("refused", "channels.a.password: the password is wrong"),
        ("wrong", "channels.a.folder: there is no such folder"),
        ("bug", "channels.a: the plugin has a bug: KeyError in check(); please report it to its author"),
    ],
)
def test_live_every_word_is_a_sentence(tmp_path: Path, registry: Registry, mood: str, says: str) -> None:
    text = GOOD + f'mood = "{mood}"\n[channels.b]\nuse = "box"\nhost = "h"\nmood = "full"\n'
    report = check(write(tmp_path, text), live=True, registry=registry)
    assert [str(p) for p in report.problems] == [says]
    assert [str(n) for n in report.notices] == ["channels.b.host: the quota is nearly used up"]
    assert sorted(Box.closed) == ["a", "b"]


def test_live_a_hanging_system_holds_nobody_up(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_part, "LIMIT", 0.1)
    text = GOOD + 'timeout = "100ms"\nmood = "hang"\n[channels.b]\nuse = "box"\nhost = "h"\n'
    report = check(write(tmp_path, text), live=True, registry=registry)
    Box.hold.set()
    for _ in range(100):  # the thread that hung ends in its own time
        if len(Box.closed) == 2:
            break
        threading.Event().wait(0.01)
    assert [str(p) for p in report.problems] == ["channels.a: no answer within 0.1 s"]
    assert [r.path for r in report.results if r.live] == ["channels.a", "channels.b"]


def test_live_asks_only_what_is_sound_and_enabled(tmp_path: Path, registry: Registry) -> None:
    text = (
        GOOD
        + 'enabled = false\n[channels.b]\nuse = "box"\nhots = "h"\n[channels.c]\nuse = "form"\nhost = "h"\nmood = "bug"\n'
    )
    report = check(write(tmp_path, text), live=True, registry=registry)
    assert [r.path for r in report.results if r.live] == ["channels.c"]
    assert Box.closed == []
    assert any("RuntimeError" in str(p) for p in report.problems)


def test_live_leaves_nothing_behind(tmp_path: Path, registry: Registry) -> None:
    assert problems(tmp_path, registry, GOOD, live=True) == []
    assert not (tmp_path / "var").exists()


OLD = '# mine\n[channels.a]\nuse = "box"\nserver = "h"  # there\n\n[channels.odd]\nuse = "unknown"\nserver = "h"\n'


def test_fix_rewrites_the_file_and_keeps_its_mode(tmp_path: Path, registry: Registry) -> None:
    file = write(tmp_path, OLD)
    file.chmod(0o640)
    assert fix(file, registry) == ["channels.a.server is host now"]
    assert file.read_text("utf-8").endswith(OLD.replace('server = "h"  #', 'host = "h"  #'))
    assert file.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["hub.toml"]
    assert fix(file, registry) == []


def test_fix_leaves_a_file_alone_that_needs_nothing(tmp_path: Path, registry: Registry) -> None:
    file = write(tmp_path, GOOD)
    before = file.stat().st_mtime_ns
    assert fix(file, registry) == []
    assert file.stat().st_mtime_ns == before


def test_results_are_json(tmp_path: Path, registry: Registry) -> None:
    from hub.store.timeline import as_json

    report = check(write(tmp_path, GOOD + "x = 1\n"), live=False, registry=registry)
    assert "unknown setting" in json.dumps(as_json(report.results))


def test_live_tells_what_no_child_process_could_read(tmp_path: Path) -> None:
    registry = Registry(_components={("channels", "hostile"): Hostile})
    text = '[channels.a]\nuse = "hostile"\nbuilds = false\n[channels.b]\nuse = "hostile"\n'
    report = check(write(tmp_path, text), live=True, registry=registry)
    (told,) = [n for n in report.notices if n.path.startswith("channels.")]
    assert told.path == "channels.a"
    assert told.text == "is read without a child process: PermissionError when built without secrets and network"
