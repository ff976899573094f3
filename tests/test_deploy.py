"""What lies in deploy/ fits the program: commands, options, paths, secrets; and stays as closed as it is."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from hub.check import check
from hub.cli import app
from hub.registry import load_plugins
from hub.web import health

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
CONTAINER = (DEPLOY / "Containerfile").read_text("utf-8")
HUB = (DEPLOY / "hub.toml").read_text("utf-8")
OURS = {name: s for name, s in COMPOSE["services"].items() if s["image"] == "tresse"}
MOST_EXPOSED = 16
"""Tenths of a point of `systemd-analyze security`; what is left is that it uses the network, and that its
children may leave it."""
CONFINING = {"unshare", "prctl", "capset", "seccomp", "landlock_create_ruleset", "landlock_add_rule"}
CONFINING |= {"landlock_restrict_self", "setrlimit"}
"""What a child calls to give up what reading does not need (hub/reading/limits.py)."""


def understood(arguments: list[str]) -> None:
    """The command line knows these words: click raises what a person would be told."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("tresse", arguments[:1], resilient_parsing=True)
    name, *rest = arguments
    below = command.get_command(context, name)
    assert below is not None, f"there is no command {name}"
    below.make_context(name, rest, parent=context)


def values(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in CONTAINER.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(w, rest) for w, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def said(word: str) -> list[str]:
    return [rest for w, rest in instructions() if w == word]


# -- systemd ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_a_unit_starts_a_command_that_exists(unit: Path) -> None:
    program, *arguments = shlex.split(values(unit, "ExecStart")[0])
    assert program == "/opt/tresse/bin/tresse"
    understood(arguments)
    assert arguments[arguments.index("-c") + 1] == "/etc/tresse/hub.toml"
    assert values(unit, "StateDirectory") == ["tresse"]


def test_all_units_are_closed_in_the_same_way() -> None:
    closed = {u.read_text("utf-8").partition("\nUMask=")[2].partition("\n[Install]")[0].strip() for u in UNITS}
    assert len(closed) == 1
    assert "\nNoNewPrivileges=yes" in closed.pop()


def _calls(group: str) -> set[str]:
    """The system calls of a group, as systemd-analyze has them."""
    asked = ["systemd-analyze", "syscall-filter", group]
    words = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\n")[1:]
    found = {word.strip() for word in words if word.strip() and not word.strip().startswith("#")}
    return {call for name in found for call in (_calls(name) if name.startswith("@") else [name])}


def test_a_unit_lets_its_children_give_things_up() -> None:
    """Else they fail in silence: a refused unshare leaves a reader of hostile mail in the network."""
    unit = DEPLOY / "tresse.service"
    assert set(values(unit, "RestrictNamespaces")[0].split()) == {"user", "net"}
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    allowed: set[str] = set()
    for line in values(unit, "SystemCallFilter"):
        words = line.removeprefix("~").split()
        calls = {call for word in words for call in (_calls(word) if word.startswith("@") else [word])}
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    assert CONFINING - allowed == set()


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_systemd_understands_a_unit_and_scores_it(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text("utf-8").replace("/opt/tresse/bin/tresse", "/bin/true"), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "tresse" in line] == []
    score = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", copy]
    done = subprocess.run(score, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_timer_has_its_service() -> None:
    for timer in DEPLOY.glob("*.timer"):
        assert timer.with_suffix(".service").exists()
        assert values(timer, "OnCalendar")


# -- the image -------------------------------------------------------------------------------------


def test_the_image_is_made_of_what_is_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    for copied in said("COPY"):
        if copied.startswith("--from"):
            continue
        *sources, _ = copied.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source.rstrip('/')}" in ignored, f"{source} does not reach the builder"


def test_the_image_pins_what_it_installs() -> None:
    installs = [run for run in said("RUN") if "pip install" in run]
    assert len(installs) == 3
    assert [i for i in installs if "--require-hashes" not in i and "--no-deps --no-build-isolation" not in i] == []
    names = {"run", COMPOSE["x-tresse"]["build"]["args"]["REQUIREMENTS"]}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for name in names & {"run", *extras}:
        pins = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        assert pins.count("--hash=sha256:") > 50
    assert names <= {"run", "postgres"}


def test_the_image_runs_as_nobody_in_particular() -> None:
    (user,) = said("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert f"--uid {user.partition(':')[0]} " in CONTAINER
    assert f"chown {user} " in (DEPLOY / "secrets").read_text("utf-8")


def test_the_image_starts_the_hub_and_asks_it_how_it_is() -> None:
    assert json.loads(said("ENTRYPOINT")[0]) == ["tresse"]
    understood(json.loads(said("CMD")[0]))
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", said("HEALTHCHECK")[0])
    assert asked is not None
    assert asked[1] in said("EXPOSE")
    assert asked[2].strip("/") in {n for n in dir(health) if n.endswith("z")}
    assert "TRESSE_CONFIG=/etc/tresse/hub.toml" in CONTAINER


def test_no_registry_is_named() -> None:
    images = [f.split()[0] for f in said("FROM")] + [s["image"] for s in COMPOSE["services"].values()]
    assert [i for i in images if "/" in i] == []


# -- compose ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_runs_a_command_that_exists_in_a_closed_box(name: str) -> None:
    service = OURS[name]
    understood(service["command"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (ROOT / "deploy" / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).exists()


def test_postgresql_two_workers_and_the_pages() -> None:
    assert set(COMPOSE["services"]) == {"postgres", "migrate", "worker", "web"}
    assert OURS["worker"]["deploy"]["replicas"] == 2
    assert all(p.startswith("127.0.0.1:") for p in OURS["web"]["ports"])
    for name in ("worker", "web"):
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_what_ends_by_itself_is_started_again() -> None:
    """A worker whose engine has died ends with exit code 1."""
    assert {OURS[name]["restart"] for name in ("worker", "web")} == {"unless-stopped"}
    for unit in (u for u in UNITS if "oneshot" not in values(u, "Type")):
        assert values(unit, "Restart")[0] in ("on-failure", "always"), unit.name


def test_paths_ports_and_secrets_agree(tmp_path: Path) -> None:
    hub, mounts = tomllib.loads(HUB), COMPOSE["x-tresse"]["volumes"]
    assert f"data:{hub['hub']['data']}" in mounts
    assert f"VOLUME {hub['hub']['data']}" in CONTAINER
    assert "./hub.toml:/etc/tresse/hub.toml:ro" in mounts
    assert OURS["web"]["ports"] == [f"127.0.0.1:8080:{hub['web']['listen'].rpartition(':')[2]}"]
    subprocess.run(["sh", DEPLOY / "secrets", tmp_path], check=True, capture_output=True)
    made = {p.name for p in tmp_path.iterdir()}
    assert made == set(COMPOSE["secrets"])
    assert {s["file"] for s in COMPOSE["secrets"].values()} == {f"./secrets.d/{name}" for name in made}
    live = "\n".join(line for line in HUB.splitlines() if not line.startswith("#"))
    assert set(re.findall(r"/run/secrets/([\w-]+)", live)) == set(COMPOSE["x-tresse"]["secrets"])


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run(["sh", DEPLOY / "secrets", tmp_path / "s"], check=True, capture_output=True)
        found = {p.name: (p.stat().st_mode & 0o777, p.read_text()) for p in (tmp_path / "s").iterdir()}
        assert {mode for mode, _ in found.values()} == {0o600}
        password = found["postgres-password"][1]
        assert re.fullmatch(r"[A-Za-z0-9]{40}", password)
        assert found["database-url"][1] == f"postgresql+psycopg://tresse:{password}@postgres/tresse"
        (tmp_path / "s" / "support-password").write_text("mine")
    assert found["support-password"][1] == "mine"


def test_the_configuration_of_compose_is_right(tmp_path: Path) -> None:
    subprocess.run(["sh", DEPLOY / "secrets", tmp_path], check=True, capture_output=True)
    (tmp_path / "support-password").write_text("geheim")
    file = tmp_path / "hub.toml"
    text = HUB.replace("/run/secrets/", f"{tmp_path}/").replace("/var/lib/tresse", str(tmp_path / "data"))
    file.write_text(text, "utf-8")
    report = check(file, live=False, registry=load_plugins())
    assert list(map(str, report.problems)) == []


def test_everything_in_deploy_is_explained() -> None:
    pages = "".join(p.read_text("utf-8") for p in (ROOT / "docs" / "how-to").glob("*.md"))
    missing = [p.name for p in DEPLOY.iterdir() if p.is_file() and f"deploy/{p.name}" not in pages]
    assert missing == []
