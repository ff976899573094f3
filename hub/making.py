"""From sections to instances: each is made on a thread of its own, and one that fails stops nobody."""

from __future__ import annotations

import time
from collections.abc import Mapping

import sqlalchemy as sa

from hub.config import Config, ConfigErrors, Section, settings_of
from hub.http import hosts_in
from hub.instances import Instance, Lend
from hub.log import logger
from hub.registry import Registry
from hub.sdk import ConfigError, Context, Settings
from hub.store import upsert
from hub.store.alerts import close_alert, raise_alert
from hub.store.health import instance_health
from hub.store.secrets import SecretState

MAKE_LIMIT = 15.0
"""Seconds all constructors together may take; whoever is later counts as broken."""


def context_for(section: Section, settings: Settings, config: Config, lend: Lend) -> Context:
    """The context of one instance."""
    return Context(
        id=section.id,
        log=logger(instance=section.id),
        http=lend.session(hosts_in(settings.model_dump()) | set(config.hub.allow_hosts)),
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
    return Instance(section, component(settings, context_for(section, settings, config, lend)), lend)


def _keep_broken(lend: Lend, broken: Mapping[str, str], made: Mapping[str, Instance]) -> None:
    now = lend.clock.now()
    with lend.store.write() as connection:
        known = {**dict.fromkeys(made, ("green", "")), **{i: ("red", r) for i, r in broken.items()}}
        gone = sa.not_(instance_health.c.instance.in_(known))
        connection.execute(sa.delete(instance_health).where(gone))
        for instance, (state, reason) in known.items():
            row = {"health": state, "reason": reason, "since": now, "failures": 0, "retry_at": None}
            insert = upsert(connection, instance_health).values(instance=instance, **row)
            connection.execute(insert.on_conflict_do_update(index_elements=["instance"], set_=row))
            if reason:
                raise_alert(connection, f"instance:{instance}", reason, now, instance)
            else:
                close_alert(connection, f"instance:{instance}", now)
