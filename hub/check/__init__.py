"""Is this configuration right? First by reading it, then (live) by asking every far side. Changes nothing."""

from __future__ import annotations

from pathlib import Path

from hub.check.fixing import fix
from hub.check.live import ask_all, ask_webhook
from hub.check.reading import house, house_notices, section_against, sections_of_a_broken_file
from hub.check.report import Report, Result, Tell
from hub.config import ConfigErrors, Problem, Section, load
from hub.registry import Registry
from hub.sdk import Settings

__all__ = ["Report", "Result", "Tell", "check", "fix"]


def check(path: Path, *, live: bool, registry: Registry, tell: Tell = lambda _: None) -> Report:
    """Check the configuration at `path`; `tell` hears each result as it is found."""
    report = Report()

    def add(result: Result) -> None:
        report.results.append(result)
        tell(result)

    notices: list[Problem] = list(registry.notices)
    try:
        config = load(path, notices=notices)
    except ConfigErrors as errors:
        add(Result(str(path), tuple(errors.problems), tuple(notices)))
        sections_of_a_broken_file(path, registry, add)
        return report
    add(Result(str(path), tuple(house(config)), (*notices, *house_notices(config, registry))))
    sound: list[tuple[Section, Settings]] = []
    for section in config.sections:
        result, settings = section_against(config, section, registry)
        add(result)
        if settings is not None and result.ok:
            sound.append((section, settings))
    if live:
        ask_webhook(config, add)
        ask_all(config, sound, registry, add)
    return report
