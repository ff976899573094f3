"""A partner's plugin: its own distribution, built as a wheel, installed into its own environment, and found there."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "examples" / "tresse-echo"
TRESSE = "from hub.cli import main; main()"


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON", "TRESSE"))}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel in it, and with what we run on in sight."""
    folder = tmp_path_factory.mktemp("partner")
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, cwd=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    ours = [PROJECT, *site.getsitepackages()]
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    lines = [f"import site; site.addsitedir({str(place)!r})" for place in ours]
    (packages / "zz_tresse.pth").write_text("\n".join(lines) + "\n")
    return python


def found(python: Path | str, cwd: Path) -> dict[str, dict[str, object]]:
    listed = json.loads(run(python, "-c", TRESSE, "plugins", "--json", cwd=cwd))
    return {record["name"]: record for record in listed["plugins"]}


def test_the_wheel_is_found_with_its_distribution_and_version(partner: Path, tmp_path: Path) -> None:
    record = found(partner, tmp_path)["echo"]
    assert (record["distribution"], record["version"], record["error"]) == ("tresse-echo", "1.4.2", "")
    (component,) = record["components"]  # type: ignore[misc]
    assert (component["kind"], component["name"]) == ("channels", "echo")
    assert {"Polls", "Reads", "Sends", "Finds"} <= set(component["abilities"])


def test_it_is_found_in_its_own_environment_only(partner: Path, tmp_path: Path) -> None:
    assert "echo" not in found(sys.executable, tmp_path)
    assert set(found(partner, tmp_path)) - set(found(sys.executable, tmp_path)) == {"echo"}


def test_it_comes_from_the_wheel(partner: Path, tmp_path: Path) -> None:
    where = run(partner, "-c", "import tresse_echo; print(tresse_echo.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(partner.parent.parent)


def test_its_settings_are_shown_and_checked(partner: Path, tmp_path: Path) -> None:
    assert "largest" in run(partner, "-c", TRESSE, "plugins", "echo", cwd=tmp_path)
    config = tmp_path / "hub.toml"
    config.write_text('[channels.fax]\nuse = "echo"\ninbox = "in"\noutbx = "out"\n')
    told = json.loads(run(partner, "-c", TRESSE, "check", "--config", config, "--json", cwd=tmp_path, code=1))
    problems = {p["path"]: p["hint"] for r in told["results"] for p in r["problems"]}
    assert problems["channels.fax.outbx"] == 'did you mean "outbox"?'
    assert "channels.fax.outbox" in problems


def test_its_own_contract_tests_pass_there(partner: Path, tmp_path: Path) -> None:
    told = run(partner, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", EXAMPLE / "tests", cwd=tmp_path)
    assert " passed" in told
    assert "failed" not in told
