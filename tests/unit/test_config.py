"""The configuration: every error at once with its path, secrets, renamed settings, and what a model says of itself."""

from __future__ import annotations

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from hub.config import (
    TABLES,
    Config,
    ConfigErrors,
    Problem,
    Section,
    SectionOptions,
    describe,
    did_you_mean,
    fix,
    load,
    options_of,
    sample,
    settings_of,
    table,
)
from hub.config.fields import toml
from hub.sdk import ConfigError, Duration, Secret, Settings, Size, renamed_from

CANARY = "canary-7f3a"


class Server(Settings):
    host: str = Field(description="Name of the server.", json_schema_extra=renamed_from("hostname"))
    port: int = Field(993, description="Port.", ge=1, le=65535)
    password: Secret | None = Field(None, description="Password.")


class Mode(StrEnum):
    FAST = "fast"
    SAFE = "safe"


class Mailbox(Settings):
    imap: Server = Field(description="Where mail comes in.", json_schema_extra=renamed_from("inbox"))
    copies: list[Server] = Field([], description="More of them.")
    named: dict[str, Server] = Field({}, description="By name.")
    key: Secret = Field(Secret(""), description="A key.")
    idle: Duration = Field(1740.0, description="Re-issue IDLE after.", json_schema_extra=renamed_from("wait"))
    cap: Size = Field(10 * 1024**2, description="Largest mail.")
    folder: Path | None = Field(None, description="Where files go.")
    security: Literal["tls", "starttls"] = Field("tls", description="How it is protected.")
    mode: Mode = Field(Mode.SAFE, description="How bold.")
    limit: int | None = Field(None, description="None means no limit.")


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "hub.toml"
    file.write_text(text, "utf-8")
    return file


def problems_of(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(write(tmp_path, text), environ or {})
    return [str(p) for p in caught.value.problems]


def section(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Section:
    config = load(write(tmp_path, '[channels.support]\nuse = "mail"\n' + text), environ or {})
    found = config.section("support")
    assert found is not None
    return found


def mistakes(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        settings_of(section(tmp_path, text, environ), Mailbox)
    return [str(p) for p in caught.value.problems]


def test_an_empty_file_is_a_configuration(tmp_path: Path) -> None:
    config = load(write(tmp_path, ""), {})
    assert isinstance(config, Config)
    assert config.hub.data == tmp_path / "var"
    assert config.database_url == f"sqlite:///{tmp_path}/var/tresse.db"
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert config.sections == ()


def test_every_error_at_once_with_its_path(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        """
        [hub]
        nam = "x"
        languages = ["fr", "EN"]
        timezone = "Paris"
        case_number = "TR-{year}"
        order_patterns = ["CMD-(", "ok"]
        [web]
        listen = "8080"
        [chanels.x]
        [channels.support]
        enabled = "perhaps"
        [channels.Support]
        use = "mail"
        [crm]
        rt = "x"
        """,
    )
    assert 'hub.nam: unknown setting; did you mean "name"?' in found
    assert "hub.languages[1]: should look like [a-z]{2}" in found
    assert 'chanels: unknown table; did you mean "channels"?' in found
    assert "channels.support.enabled: should be true or false" in found
    starts = [
        "hub.timezone: ",
        "hub.case_number: ",
        "hub.order_patterns[0]: is not a regular expression",
        "web.listen: ",
    ]
    starts += ["channels.support.use: is missing", "channels.Support: is not a usable name", "crm.rt: should stand in"]
    for start in starts:
        assert any(f.startswith(start) for f in found), start
    assert len(found) == 11


def test_syntax_errors_name_the_line(tmp_path: Path) -> None:
    (found,) = problems_of(tmp_path, '[hub]\nname = "x\n')
    assert "is not TOML" in found
    assert "line 2" in found


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*--config"):
        load(tmp_path / "absent.toml", {})


def test_one_name_is_one_instance(tmp_path: Path) -> None:
    (found,) = problems_of(tmp_path, '[channels.a]\nuse = "mail"\n[crm.a]\nuse = "csv"\n')
    assert found == 'crm.a: the name "a" is taken by [channels.a]; give one of them another name'


def test_options_belong_to_the_hub_and_the_rest_to_the_component(tmp_path: Path) -> None:
    found = section(tmp_path, 'brand = "acme"\nacknowledge = "desk"\ntimeout = "5s"\nimap.host = "h"\n')
    assert found.use == "mail"
    assert found.path == "channels.support"
    assert (found.options.brand, found.options.acknowledge, found.options.timeout) == ("acme", "desk", 5.0)
    assert found.values == {"imap": {"host": "h"}}
    assert "channels" in options_of("crm")
    assert "channels" not in options_of("channels")


def test_a_section_for_another_kind_option_is_unknown(tmp_path: Path) -> None:
    found = mistakes(tmp_path, 'channels = ["a"]\nimap.host = "h"\n')
    assert found[0].startswith("channels.support.channels: unknown setting")


def test_unknown_settings_name_the_nearest_known_one(tmp_path: Path) -> None:
    found = mistakes(tmp_path, 'tiemout = "3s"\nimap.hots = "h"\n')
    assert 'channels.support.imap.hots: unknown setting; did you mean "host"?' in found
    assert 'channels.support.tiemout: unknown setting; did you mean "timeout"?' in found
    assert "channels.support.imap.host: is missing; Name of the server." in found


def test_errors_inside_lists_and_named_tables(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        'imap.host = "h"\ncopies = [{ host = "a" }, { hist = "b" }]\nnamed.x = { host = "a", port = "many" }\n'
        'limit = "lots"\nmode = "bold"\n',
    )
    assert 'channels.support.copies[1].hist: unknown setting; did you mean "host"?' in found
    assert "channels.support.named.x.port: should be a whole number" in found
    assert "channels.support.limit: should be a whole number" in found
    assert any(f.startswith("channels.support.mode: ") and "'safe'" in f for f in found)


def test_secrets_come_from_file_and_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / "imap"
    secret.parent.mkdir()
    secret.write_text(f"  {CANARY}\n")
    secret.chmod(0o600)
    found = section(
        tmp_path,
        'imap = { host = "h", password = { file = "secrets/imap" } }\nkey = { env = "KEY" }\n',
        {"KEY": "from-env "},
    )
    notices: list[Problem] = []
    settings = settings_of(found, Mailbox, notices)
    assert settings.imap.password is not None
    assert settings.imap.password.get_secret_value() == CANARY
    assert settings.key.get_secret_value() == "from-env"
    assert notices == []
    assert CANARY not in repr(settings) + repr(found)


def test_secrets_that_cannot_be_had_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    found = mistakes(
        tmp_path,
        'imap = { host = "h", password = { file = "absent" } }\nkey = { env = "KEY" }\n'
        'copies = [{ host = "h", password = { file = "empty" } }, { host = "h", password = { fil = "x" } }]\n',
    )
    assert len(found) == 4
    assert f"cannot read the secret in {tmp_path}/absent" in found[0]
    assert "channels.support.copies[0].password: the file" in found[1]
    assert 'channels.support.copies[1].password: is a secret; write { file = "..." }' in found[2]
    assert found[3] == "channels.support.key: the environment variable KEY is not set"


def test_an_open_secret_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o644)
    notices: list[Problem] = []
    found = section(tmp_path, f'imap = {{ host = "h", password = {{ file = "open" }} }}\nkey = "{CANARY}"\n')
    settings_of(found, Mailbox, notices)
    said = [str(n) for n in notices]
    assert "everybody on this machine can read" in said[0]
    assert said[1].startswith("channels.support.key: the secret stands in the file itself")
    assert CANARY not in "".join(said)


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    found = mistakes(tmp_path, f'imap = {{ host = "h", port = "{CANARY}" }}\npasswort = "{CANARY}"\n')
    assert len(found) == 2
    assert CANARY not in "".join(found)


def test_paths_are_relative_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    settings = settings_of(section(tmp_path, 'imap.host = "h"\nfolder = "in/../box"\n'), Mailbox)
    assert settings.folder == tmp_path / "box"


def test_renamed_settings_work_and_are_noticed(tmp_path: Path) -> None:
    notices: list[Problem] = []
    settings = settings_of(section(tmp_path, 'wait = "1m"\ninbox.hostname = "h"\n'), Mailbox, notices)
    assert (settings.idle, settings.imap.host) == (60.0, "h")
    assert {n.path for n in notices} == {
        "channels.support.wait",
        "channels.support.inbox",
        "channels.support.imap.hostname",
    }


def test_a_setting_under_both_its_names(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, 'wait = "1m"\nidle = "1m"\nimap.host = "h"\n')
    assert found == 'channels.support.wait: is called "idle" now and is set twice; remove one'


OLD = """# our mailbox
[channels.a]
use = "mail" # keep me
wait   = "1m"   # and me
copies = [ { hostname = "z" } ]

  # before
[channels.a.inbox]   # header
hostname = "foo" # c
[channels.b]
inbox = { hostname = "a", port = 3 }
[[channels.b.copies]]
# in the list
hostname = "x"
[channels.a.named.x]
hostname = "split"
"""


def test_fix_renames_in_place_and_keeps_every_comment() -> None:
    models = {("channels", "a"): Mailbox, ("channels", "b"): Mailbox}
    fixed, changes = fix(OLD, models)
    new = OLD.replace("wait  ", "idle").replace("inbox", "imap").replace("hostname", "host")
    assert fixed == new
    assert "channels.a.wait is idle now" in changes
    assert len(changes) == 8
    assert fix(fixed, models) == (fixed, [])


def test_fix_leaves_what_is_no_table_to_the_check() -> None:
    assert fix("channels = 3\n[crm]\na = 4\n", {("channels", "a"): Mailbox, ("crm", "a"): Mailbox})[1] == []


@given(st.dictionaries(st.sampled_from(["wait", "idle", "key", "use", "cap"]), st.text(max_size=5), max_size=4))
def test_fix_says_the_same_in_new_words(values: dict[str, str]) -> None:
    text = "[channels.a]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in values.items())
    fixed, _ = fix(text, {("channels", "a"): Mailbox})
    expected = dict(values)
    if "wait" in expected and "idle" not in expected:
        expected["idle"] = expected.pop("wait")
    assert tomllib.loads(fixed) == {"channels": {"a": expected}}


def test_describe_goes_into_nested_tables() -> None:
    docs = {d.path: d for d in describe(Mailbox)}
    assert docs["imap.host"].required
    assert docs["imap.host"].renamed_from == ("hostname",)
    assert docs["imap.port"].default == "993"
    assert docs["imap.password"].type == "secret"
    assert docs["copies[].host"].type == "text"
    assert docs["named.NAME.port"].type == "whole number"
    assert (docs["idle"].type, docs["idle"].default) == ("duration", '"29m"')
    assert (docs["cap"].type, docs["cap"].default) == ("size", '"10MB"')
    assert docs["security"].type == 'one of "tls", "starttls"'
    assert (docs["mode"].type, docs["mode"].default) == ('one of "fast", "safe"', '"safe"')
    assert docs["folder"].type == "path"
    assert docs["limit"].type == "whole number"


def test_the_annotated_sample_is_valid_toml_and_fits_its_model() -> None:
    text = sample(Mailbox, "channels.support", ['use = "mail"'])
    parsed = tomllib.loads(text)["channels"]["support"]
    assert parsed["use"] == "mail"
    parsed.pop("use")
    assert Mailbox.model_validate(parsed).imap.host == "HOST"
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    assert set(tomllib.loads(uncommented)["channels"]["support"]) >= {"imap", "idle", "cap", "security"}


def test_the_table_shows_each_setting_once() -> None:
    lines = table(Mailbox).splitlines()
    assert len(lines) == 2 + len(describe(Mailbox))
    assert "| `wait`" not in table(Mailbox)
    assert "(was `wait`)" in table(Mailbox)


def test_every_setting_of_the_hub_is_described() -> None:
    for model in (*TABLES.values(), SectionOptions):
        assert model.__doc__
        for doc in describe(model):
            assert doc.description, f"{model.__name__}.{doc.path}"


@given(st.floats(min_value=0.001, max_value=1e7).map(lambda f: round(f, 3)))
def test_durations_survive_being_written(seconds: float) -> None:
    class One(Settings):
        time: Duration

    written = tomllib.loads(f"time = {toml(seconds, 'duration')}")
    assert One.model_validate(written).time == pytest.approx(seconds, rel=1e-5)


@given(st.integers(min_value=0, max_value=2**45))
def test_sizes_survive_being_written(size: int) -> None:
    class One(Settings):
        size: Size

    assert One.model_validate(tomllib.loads(f"size = {toml(size, 'size')}")).size == size


def test_did_you_mean_lists_few_words_and_guesses_among_many() -> None:
    assert did_you_mean("Use", ["use"]) == 'did you mean "use"?'
    assert did_you_mean("zzz", ["a", "b"]) == "known here: a, b"
    assert did_you_mean("zzz", map(str, range(20))) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_a_sentence(tmp_path: Path) -> None:
    file = write(tmp_path, "")
    file.chmod(0)
    with pytest.raises(ConfigErrors, match="cannot read"):
        load(file, {})
