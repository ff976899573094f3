"""The part of a check that only reads: each section against its model, and against the rest of the file."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from hub.check.report import Result, Tell
from hub.config import Config, ConfigErrors, Problem, Section, did_you_mean, settings_of
from hub.config.load import read, sections
from hub.knowledge.answers import read_answers
from hub.knowledge.files import AnswerFileError
from hub.locale import catalogue
from hub.registry import Registry
from hub.sdk import ConfigError, Settings, abilities_of


def sections_of_a_broken_file(path: Path, registry: Registry, add: Tell) -> None:
    """All errors at once: a mistake in [hub] does not hide those in the sections that can be read."""
    try:
        tables = read(path)
    except ConfigErrors:
        return
    for section in sections(tables, path):
        result, _ = _settings(section, registry)
        if result.problems:
            add(result)


def section_against(config: Config, section: Section, registry: Registry) -> tuple[Result, Settings | None]:
    """One section against its component's model and against the rest of the configuration."""
    result, settings = _settings(section, registry)
    problems, notices = list(result.problems), list(result.notices)
    options, channels = section.options, [s.id for s in config.sections if s.kind == "channels"]
    if options.brand and options.brand not in config.brands:
        hint = did_you_mean(options.brand, config.brands) or f"add [brands.{options.brand}]"
        problems.append(Problem(f"{section.path}.brand", f"there is no [brands.{options.brand}]", hint))
    for number, channel in enumerate(options.channels):
        if channel not in channels:
            text = f"there is no [channels.{channel}]"
            problems.append(Problem(f"{section.path}.channels[{number}]", text, did_you_mean(channel, channels)))
    if settings is not None:
        notices += _voices(config, section, registry)
    return Result(section.path, tuple(problems), tuple(notices)), settings


def _settings(section: Section, registry: Registry) -> tuple[Result, Settings | None]:
    notices: list[Problem] = []
    try:
        model = registry.component(section.kind, section.use).settings_model
    except ConfigError as error:
        return Result(section.path, (Problem(f"{section.path}.use", str(error)),)), None
    try:
        settings = settings_of(section, model, notices)
    except ConfigErrors as errors:
        return Result(section.path, tuple(errors.problems), tuple(notices)), None
    return Result(section.path, (), tuple(notices)), settings


def _voices(config: Config, section: Section, registry: Registry) -> Iterator[Problem]:
    """One voice per case: somebody must be able to speak where somebody is told to."""
    if section.kind != "channels":
        return
    path, by = f"{section.path}.acknowledge", section.options.acknowledge
    if by == "hub" and "Sends" not in abilities_of(registry.component(section.kind, section.use)):
        yield Problem(path, f'"{section.use}" cannot send, so the hub cannot acknowledge here', 'set "nobody"')
    if config.voice(section) == "desk" and not any(_is_desk_for(s, section, registry) for s in config.sections):
        yield Problem(path, "the desk acknowledges, but no [crm] section keeps this channel's cases", 'set "hub"')


def _is_desk_for(crm: Section, channel: Section, registry: Registry) -> bool:
    if crm.kind != "crm" or (crm.options.channels and channel.id not in crm.options.channels):
        return False
    try:
        return "KeepsCases" in abilities_of(registry.component(crm.kind, crm.use))
    except ConfigError:
        return False


def _sends(section: Section, registry: Registry) -> bool:
    try:
        return section.options.enabled and "Sends" in abilities_of(registry.component(section.kind, section.use))
    except ConfigError:
        return False


def house(config: Config) -> Iterator[Problem]:
    """What is wrong with the hub's own tables beyond their form."""
    data = config.hub.data
    there = next(p for p in (data, *data.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Problem("hub.data", f"cannot write to {there}", "give the directory to the user the hub runs as")
    yield from _database(config)
    yield from _via(config)
    file = config.answers.file
    if file is not None:
        yield from _answers(file)


def _database(config: Config) -> Iterator[Problem]:
    try:
        sa.create_engine(config.database_url).dispose()
    except ModuleNotFoundError as error:
        yield Problem(
            "database.url",
            f"the driver {error.name} is not installed",
            "leave database.url out: SQLite needs no driver",
        )
    except (sa.exc.ArgumentError, ValueError):  # its text quotes the URL, which may hold a password
        yield Problem("database.url", "is not a database URL", 'for example "postgresql+psycopg://hub@localhost/hub"')


def _via(config: Config) -> Iterator[Problem]:
    """Alerts by mail go through a channel: is the named one there?"""
    channels = [s.id for s in config.sections if s.kind == "channels" and s.options.enabled]
    via = config.alerts.via
    if via and via not in channels:
        yield Problem("alerts.via", f"there is no [channels.{via}]", did_you_mean(via, channels))


def _answers(file: Path) -> Iterator[Problem]:
    try:
        read_answers(file)
    except AnswerFileError as error:
        yield from (Problem("answers.file", f"{file}: {text}") for text in error.problems)


def house_notices(config: Config, registry: Registry) -> Iterator[Problem]:
    """What works and deserves a look."""
    for record in registry.records:
        for why in filter(None, (record.error, *record.problems)):
            yield Problem(f"plugin {record.name}", f"was not loaded: {why}", f"it comes with {record.distribution}")
    if not any(s.kind == "channels" and s.options.enabled for s in config.sections):
        yield Problem("channels", "no channel is configured, so nothing comes in", "add [channels.NAME]")
    if config.alerts.mail and not any(_sends(s, registry) for s in config.sections if s.kind == "channels"):
        yield Problem("alerts.mail", "no channel can send a mail, so nobody is written to", "add [channels.NAME]")
    for language in config.hub.languages:
        if language not in catalogue()["customers.acknowledgement.subject"]:
            yield Problem("hub.languages", f'no acknowledgement is written in "{language}"', "English is sent instead")
    if config.web.host not in ("127.0.0.1", "localhost", "::1") and config.hub.address.startswith("http:"):
        yield Problem("hub.address", "passwords would travel in clear", "put TLS in front and write https://")
    if config.web.port and not _free(config.web.host, config.web.port):
        yield Problem("web.listen", f"{config.web.listen} is in use", "by a running hub, or by something else")


def _free(host: str, port: int) -> bool:
    """Whether the address could be listened on; an address that cannot be had is told by the daemon."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
