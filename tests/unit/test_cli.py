"""The command line: what people read, what scripts read, and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.cli import main
from hub.cli.ground import clean
from hub.cli.running import seconds
from hub.config import load
from hub.sdk import Rejected
from hub.store import Store, access
from hub.store.cases import delivery
from hub.store.intake import step
from hub.store.migrate import migrate
from tests.databases import is_sqlite, settings
from tests.unit.braid import Braid

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ESCAPE = "\x1b[2J\x07"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "hub.toml"
    file.write_text('[web]\nlisten = "127.0.0.1:0"\n' + settings(tmp_path), "utf-8")
    return file


@pytest.fixture
def store(config: Path) -> Any:
    made = Store(load(config).database_url)
    migrate(made)
    yield made
    made.close()


class Told:
    """What a command said and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def tresse(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TRESSE_CONFIG", str(config))

    def run(*words: str, code: int = 0) -> Told:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = capsys.readouterr()
        told = Told(int(ended.value.code or 0), said.out, said.err)
        assert told.code == code, told.out + told.err
        return told

    return run


def a_message(store: Store, text: str = "Où est ma commande ?", **values: Any) -> None:
    with store.write() as connection:
        braid = Braid(connection, NOW)
        (alice,) = braid.customer("Alice Durand", ("email", "alice@customer.example"))
        opened = braid.case("TR-2026-000123", alice, proof="claimed")
        sender = {"sender": "alice@customer.example", "sender_name": "Alice Durand"}
        braid.message(alice, text, case_id=opened, subject="Commande", proof="claimed", **sender, **values)


# -- help, errors, exit codes -----------------------------------------------------------------


def test_alone_it_shows_what_to_do_first(tresse: Any) -> None:
    told = tresse()
    assert "tresse demo" in told.out
    assert "tresse check --config" in told.out
    assert "tresse run --config" in told.out
    assert "Exit codes:" in told.out


def test_a_missing_configuration_is_a_sentence(tresse: Any, tmp_path: Path) -> None:
    told = tresse("run", "--config", str(tmp_path / "absent.toml"), code=1)
    assert told.err.startswith("there is no file ")
    assert "--config PATH" in told.err
    assert "Traceback" not in told.err


def test_every_problem_of_the_configuration_is_a_line(tresse: Any, config: Path) -> None:
    config.write_text('[hub]\nnme = "x"\n[web]\nthreads = "many"\n')
    told = tresse("kept", code=1)
    assert told.err.splitlines() == [
        'hub.nme: unknown setting; did you mean "name"?',
        "web.threads: should be a whole number",
    ]


def test_debug_shows_where_it_rose(config: Path, tmp_path: Path) -> None:
    from hub.config import ConfigErrors

    with pytest.raises(ConfigErrors):
        main(["--debug", "run", "--config", str(tmp_path / "absent.toml")])


def test_usage_errors_end_with_two(tresse: Any) -> None:
    assert "No such command" in tresse("timelin", code=2).err
    tresse("timeline", code=2)
    tresse("replay", "raw", code=2)
    tresse("replay", "raw", "7", "--all", code=2)
    tresse("deliveries", "--state", "lost", code=2)
    tresse("demo", "--for", "soon", code=2)


def test_other_errors_of_ours_are_sentences(tresse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(_: Any) -> None:
        raise Rejected("this cannot be")

    monkeypatch.setattr("hub.daemon.run", no)
    assert tresse("run", code=1).err == "this cannot be\n"


def test_a_reading_command_needs_a_database(tresse: Any, tmp_path: Path) -> None:
    told = tresse("timeline", "alice@customer.example", code=1)
    assert ('"tresse run" makes it' if is_sqlite() else '"tresse migrate"') in told.err
    assert not (tmp_path / "var").exists()


def test_a_database_of_another_version_is_a_sentence(tresse: Any, store: Store) -> None:
    with store.write() as connection:
        connection.execute(sa.text("DROP TABLE step"))
    told = tresse("kept", code=1)
    assert ("no such table: step" if is_sqlite() else 'relation "step" does not exist') in told.err
    assert "SELECT" not in told.err
    assert '"tresse migrate"' in told.err


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert clean(f"a{ESCAPE}b\n\tc\u202e\x9bé\N{WOMAN}\u200d\N{ROCKET}") == "a[2Jb\n\tcé\N{WOMAN}\u200d\N{ROCKET}"


def test_times_are_read_with_their_unit() -> None:
    assert (seconds("30s"), seconds("5m")) == (30.0, 300.0)


def test_a_closed_pipe_is_no_traceback(config: Path) -> None:
    command = f"{sys.executable} -c 'from hub.cli import main; main()' plugins --json | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.stdout == "{"
    assert "Traceback" not in done.stderr


# -- check and plugins ------------------------------------------------------------------------


def test_check_says_that_all_is_well(tresse: Any) -> None:
    told = tresse("check")
    assert told.out.startswith("ok ")
    assert "All is well" in told.out


def test_check_ends_with_one_and_counts(tresse: Any, config: Path) -> None:
    config.write_text('[hub]\nnme = "x"\n[channels.a]\nuse = "nothing"\n')
    told = tresse("check", code=1)
    assert "2 to mend" in told.out
    assert "channels.a.use: no plugin offers" in told.out
    told = tresse("check", "--json", code=1)
    assert told.json["ok"] is False
    assert [p["path"] for r in told.json["results"] for p in r["problems"]] == ["hub.nme", "channels.a.use"]


def test_check_fix_without_anything_to_fix(tresse: Any, config: Path) -> None:
    before = config.read_text()
    assert tresse("check", "--fix", "--json").json["changes"] == []
    assert config.read_text() == before


def test_plugins_lists_what_is_installed(tresse: Any) -> None:
    told = tresse("plugins", "--json")
    names = {p["name"]: p for p in told.json["plugins"]}
    assert {"mail", "form", "request_tracker", "csv", "push", "whoosh"} <= set(names)
    assert names["csv"]["distribution"] == "tresse"
    assert "KnowsCustomers" in names["csv"]["components"][0]["abilities"]
    assert "crm: csv" in tresse("plugins").out


def test_plugins_shows_one_components_settings(tresse: Any) -> None:
    told = tresse("plugins", "csv")
    assert "[crm.NAME]" in told.out
    assert tresse("plugins", "csv", "--json").json["components"][0]["settings"]
    assert "did you mean" in tresse("plugins", "cvs", code=1).err


@pytest.mark.parametrize("kind", ["channel", "crm", "cti", "matcher"])
def test_a_new_plugin_passes_its_contract_tests(tresse: Any, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "new"
    tresse("plugin", "new", f"my_{kind}", "--kind", kind, "--directory", str(target))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(target)],
        capture_output=True,
        text=True,
        cwd=target,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(target), *filter(None, sys.path)])},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout
    for file in target.rglob("*"):
        assert not file.is_file() or "${" not in file.read_text("utf-8", "ignore")


def test_a_new_plugin_overwrites_nothing(tresse: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    assert "is not empty" in tresse("plugin", "new", "x1", "--kind", "crm", "--directory", str(tmp_path), code=1).err
    assert "not a usable name" in tresse("plugin", "new", "X-1", "--kind", "crm", code=1).err
    tresse("plugin", "new", "x1", "--kind", "shop", code=2)


# -- reading ----------------------------------------------------------------------------------


def test_the_timeline_in_text_and_json(tresse: Any, store: Store) -> None:
    a_message(store, f"Où est ma commande ?{ESCAPE}")
    told = tresse("timeline", "alice@customer.example")
    assert "Alice Durand" in told.out
    assert "TR-2026-000123 · claimed" in told.out
    assert "2026-03-02 10:30" in told.out  # Europe/Paris
    assert "\x1b" not in told.out
    by_case = tresse("timeline", "TR-2026-000123", "--json").json
    assert by_case["subject"]["kind"] == "case"
    assert by_case["entries"][0]["sender"] == "alice@customer.example"
    assert by_case["next"] is None


def test_a_machines_mail_is_marked_on_the_timeline(tresse: Any, store: Store) -> None:
    a_message(store, "Je suis absente.", automatic="Auto-Submitted: auto-replied")
    assert "TR-2026-000123 · automatic · claimed" in tresse("timeline", "alice@customer.example").out


def test_a_name_lists_candidates(tresse: Any, store: Store) -> None:
    a_message(store)
    assert "ask for one of them" in tresse("timeline", "Alice Durand").out


def test_nobody_is_known_by_this_key(tresse: Any, store: Store) -> None:
    assert "Nobody and nothing" in tresse("timeline", "bob@customer.example", code=1).err
    a_message(store)
    assert "--before" in tresse("timeline", "alice@customer.example", "--before", "???", code=1).err


def test_empty_lists_say_what_to_do(tresse: Any, store: Store) -> None:
    assert "tresse login add" in tresse("login", "list").out
    assert "tresse token add" in tresse("token", "list").out
    assert "tresse answers import" in tresse("answers", "list").out
    assert "has been read" in tresse("kept").out
    assert "owed to anybody" in tresse("deliveries").out
    assert "first answer" in tresse("agent", "list").out


def test_kept_and_replay(tresse: Any, store: Store) -> None:
    a_message(store)
    with store.write() as connection:
        values = {"raw_id": 1, "stage": "read", "state": "kept", "instance": "support", "reason": "too deep"}
        connection.execute(sa.insert(step).values(**values, due_at=NOW, turn_at=NOW))
    assert tresse("kept", "--json").json["kept"][0]["reason"] == "too deep"
    assert "too deep" in tresse("kept").out
    assert tresse("replay", "raw", "--all", "--json").json == {"count": 1}
    with store.read() as connection:
        assert connection.scalar(sa.select(step.c.state)) == "waiting"
    assert "nothing to replay" in tresse("replay", "raw", "1", code=1).err


def test_deliveries_and_replay(tresse: Any, store: Store) -> None:
    with store.write() as connection:
        braid = Braid(connection, NOW)
        for state in ("rejected", "unsure"):
            braid.delivery("rt", "save_case", state, reason="no queue")
    (row,) = tresse("deliveries", "--state", "rejected", "--json").json["deliveries"]
    assert row["reason"] == "no queue"
    assert "no queue" in tresse("deliveries").out
    assert "1 to be tried again" in tresse("replay", "delivery", str(row["id"])).out
    assert "is not unsure" in tresse("replay", "unsure", str(row["id"]), "--sent", code=1).err


def test_unsure_deliveries_are_decided_together(tresse: Any, store: Store) -> None:
    with store.write() as connection:
        braid = Braid(connection, NOW)
        for instance in ("rt", "rt", "support", "support", "support"):
            braid.delivery(instance, "send", "unsure")
        braid.delivery("rt", "send", "rejected")
        braid.alert("unsure:rt", "look", "rt")
        braid.alert("unsure:support", "look", "support")

    def states() -> Counter[tuple[str, str]]:
        with store.read() as connection:
            return Counter((d.instance, d.state) for d in connection.execute(sa.select(delivery)))

    tresse("replay", "unsure", "--all", code=2)  # sent, or not?
    tresse("replay", "unsure", "--sent", code=2)
    tresse("replay", "unsure", "1", "--all", "--sent", code=2)
    tresse("replay", "unsure", "1", "--sent", "--instance", "rt", code=2)
    assert states()["support", "unsure"] == 3
    assert tresse("replay", "unsure", "1", "--not-sent", "--json").json == {"count": 1}
    assert states() == {
        ("rt", "waiting"): 1, ("rt", "unsure"): 1, ("rt", "rejected"): 1, ("support", "unsure"): 3,
    }  # fmt: skip
    assert "3 noted: they went out." in tresse("replay", "unsure", "--all", "--sent", "--instance", "support").out
    assert states()["support", "done"] == 3
    assert states()["rt", "unsure"] == 1
    assert [a["key"] for a in tresse("alerts", "--json").json["alerts"]] == ["unsure:rt"]
    assert "1 to go out now" in tresse("replay", "unsure", "--all", "--not-sent").out
    assert states() == {("rt", "waiting"): 2, ("rt", "rejected"): 1, ("support", "done"): 3}
    assert tresse("alerts", "--json").json["alerts"] == []
    assert "nothing to replay" in tresse("replay", "unsure", "--all", "--sent", code=1).err
    assert "nothing to replay" in tresse("replay", "delivery", "--all", "--instance", "support", code=1).err
    assert tresse("replay", "delivery", "--all", "--instance", "rt", "--json").json == {"count": 1}


# -- writing ----------------------------------------------------------------------------------


def test_a_login_is_made_before_the_first_start(tresse: Any, config: Path) -> None:
    password = tresse("login", "add", "nadia", "--json").json["password"]
    store = Store(load(config).database_url)
    with store.read() as connection:
        found = access.find_login(connection, "nadia")
    store.close()
    assert found is not None
    assert access.password_fits(password, found[1])
    assert password not in tresse("login", "list").out
    assert "is not a role" in tresse("login", "add", "bob", "--role", "boss", code=1).err
    tresse("login", "remove", "nadia")
    assert "no login" in tresse("login", "remove", "nadia", code=1).err


def test_a_password_may_come_from_standard_input(tresse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery staple\n"))
    assert "correct horse" not in tresse("login", "add", "nadia", "--password-stdin").out
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert "too short" in tresse("login", "add", "nadia", "--password-stdin", code=1).err


def test_tokens_are_shown_once(tresse: Any, store: Store) -> None:
    plain = tresse("token", "add", "panel", "--scope", "read", "--json").json["token"]
    with store.read() as connection:
        assert access.find_token(connection, plain) is not None
    listed = tresse("token", "list", "--json")
    assert plain not in listed.out
    number = listed.json["tokens"][0]["id"]
    tresse("token", "revoke", str(number))
    with store.read() as connection:
        assert access.find_token(connection, plain) is None
    assert "no token" in tresse("token", "revoke", str(number), code=1).err
    assert "scopes" in tresse("token", "add", "x", "--scope", "all", code=1).err


def test_agents_keep_their_accounts(tresse: Any, store: Store) -> None:
    tresse("agent", "add", "Nadia", "--email", "Nadia@shop.example", "--account", "rt:nadia")
    tresse("agent", "add", "Nadia Benali", "--email", "nadia@shop.example", "--account", "phones:31")
    (row,) = tresse("agent", "list", "--json").json["agents"]
    assert (row["name"], row["accounts"]) == ("Nadia Benali", ["phones:31", "rt:nadia"])
    assert "belongs to Nadia Benali" in tresse("agent", "add", "Marc", "--account", "rt:nadia", code=1).err
    assert len(tresse("agent", "list", "--json").json["agents"]) == 1
    tresse("agent", "add", "Marc", "--account", "rt", code=2)


def test_answers_are_imported_listed_and_found(tresse: Any, tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(
        "ref,language,title,text\nsuivi,fr,Où est ma commande ?,Voici le suivi.\nretour,fr,Comment renvoyer ?,Ainsi.\n"
    )
    assert tresse("answers", "import", str(file), "--json").json["count"] == 2
    assert "imported before" in tresse("answers", "import", str(file)).out
    assert len(tresse("answers", "list", "--json").json["answers"]) == 2
    assert [a["ref"] for a in tresse("answers", "search", "suivi", "--json").json["answers"]] == ["suivi"]
    assert "fewer" in tresse("answers", "search", "zeppelin").out


def test_migrate_may_run_twice(tresse: Any) -> None:
    assert "up to date" in tresse("migrate").out
    assert "up to date" in tresse("migrate").out
