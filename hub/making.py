"""From sections to instances: each is made on a thread of its own, and one that fails stops nobody."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hub.config import Config, ConfigErrors, Section, settings_of
from hub.http import GuardedSession, hosts_in
from hub.instances import Instance, Lend
from hub.log import logger
from hub.pace import Pace
from hub.registry import Registry
from hub.sdk import ConfigError, Context, Settings
from hub.store.secrets import SecretState
from hub.store.sides import Said, all_said, all_sides, begin_sides

MAKE_LIMIT = 15.0
"""Seconds all constructors together may take; whoever is later counts as broken."""


def context_for(section: Section, settings: Settings, config: Config, lend: Lend, pace: Pace | None = None) -> Context:
    """The context of one instance."""
    http = lend.session(hosts_in(settings.model_dump()) | set(config.hub.allow_hosts))
    if isinstance(http, GuardedSession):
        http.pace = pace
    return Context(
        id=section.id,
        log=logger(instance=section.id),
        http=http,
        state=SecretState(lend.store, section.id, lend.key),
        stop=lend.stop,
        now=lend.clock.now,
        random=lend.random,
        address=f"{config.hub.address.rstrip('/')}/in/{section.id}",
        hub={
            "name": config.hub.name,
            "country": config.hub.country,
            "languages": ",".join(config.hub.languages),
            "data": str(config.hub.data),
            "timezone": config.hub.timezone,
        },
    )


def build(config: Config, registry: Registry, lend: Lend) -> tuple[dict[str, Instance], dict[str, str]]:
    """Make every enabled section's instance. Returns them and, by id, why others could not be made."""
    made: dict[str, Instance] = {}
    broken: dict[str, str] = {}
    makers = {s.id: lend.threads(f"{s.id}-make", 1) for s in config.sections if s.options.enabled}
    begun = {s.id: makers[s.id].submit(create, s, config, registry, lend) for s in config.sections if s.id in makers}
    end = time.monotonic() + MAKE_LIMIT  # all together: one that hangs holds up the start once
    for name, future in begun.items():
        try:
            made[name] = future.result(max(0.1, end - time.monotonic()))
        except (ConfigError, ConfigErrors) as error:
            broken[name] = str(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin's constructor may raise anything; the others start
            broken[name] = str(_unmade(error) if future.done() else ConfigError(f"not made within {MAKE_LIMIT:g} s"))
        makers[name].close()
    for instance, reason in broken.items():
        logger(instance=instance).error("could not start", reason=reason)
    _keep_broken(lend, broken, made)
    return made, broken


def _unmade(error: BaseException) -> ConfigError:
    return ConfigError(f"{type(error).__name__} while it was made")


def create(section: Section, config: Config, registry: Registry, lend: Lend) -> Instance:
    """Make one instance. Raises ConfigError(s) with the path of what is wrong."""
    component = registry.component(section.kind, section.use)
    settings = settings_of(section, component.settings_model)
    pace = Pace(section.id, lend.store, lend.clock, lend.stop, section.options.spacing)
    return Instance(section, component(settings, context_for(section, settings, config, lend, pace)), lend, pace)


def _keep_broken(lend: Lend, broken: Mapping[str, str], made: Mapping[str, Instance]) -> None:
    now = lend.clock.now()
    with lend.store.write() as connection:
        begin_sides(connection, set(made), dict(broken), now)
        rows, said = all_sides(connection), all_said(connection)
    for name, instance in made.items():
        instance.sides.adopt(rows.get(name, {}))
        instance.adopt(said.get(name, Said()))
