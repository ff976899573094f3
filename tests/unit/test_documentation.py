"""What the pages say is there, is there: links, files, make targets, the sample configuration."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from hub.check import check
from hub.registry import load_plugins

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").rglob("*.md")])
CODE_PATH = re.compile(r"`((?:hub|plugins|config|tests|bench|examples)/[\w/.-]+\.(?:py|toml|csv|md))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{target} is not there"
    for path in CODE_PATH.findall(text):
        assert (ROOT / path).exists(), f"{path} is not there"


def test_anchors_exist() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([\w-]+)\)", page.read_text("utf-8")):
            if "://" in target:
                continue
            there = (page.parent / target).read_text("utf-8") if target else page.read_text("utf-8")
            heads = {
                re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
                for h in re.findall(r"^#+ (.*)", there, re.MULTILINE)
            }
            assert anchor in heads, f"{page.name}: {target}#{anchor}"


def test_every_page_of_docs_is_reached_from_the_index() -> None:
    seen, todo = set(), [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = [page.parent / t for t in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")) if "://" not in t]
        for target in targets:
            todo += sorted(target.glob("*.md")) if target.is_dir() else [target.resolve()]
    missing = {p.resolve() for p in (ROOT / "docs").rglob("*.md")} - {p.resolve() for p in seen}
    decisions = {p for p in missing if p.parent.name == "decisions"}  # a folder of half-pages that lists itself
    assert not missing - decisions


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"^make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)) <= targets, page


def test_the_sample_configuration_passes_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "config", folder)
    (folder / "secrets").mkdir(exist_ok=True)
    for name in ("support-password", "desk-token", "phones-token"):
        (folder / "secrets" / name).write_text("correct horse battery staple")
        (folder / "secrets" / name).chmod(0o600)
    monkeypatch.setenv("CONTACT_PASSWORD", "another one")
    report = check(folder / "hub.toml", live=False, registry=load_plugins())
    assert [str(p) for p in report.problems] == []
