"""Bringing the database to the newest schema, with Alembic and without a file of settings."""

from __future__ import annotations

import time
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from hub.sdk import ConfigError
from hub.store.session import Store, alone

TRIES, PAUSE = 240, 2.0
"""How often a migration begins while others stand in its way, and the seconds between: ten minutes in all."""
IN_THE_WAY = {"40P01", "55P03"}
"""PostgreSQL's words for two that wait for each other, and for a lock that was not to be had in time."""
PATIENCE = 500
"""Milliseconds a migration waits for a table: everybody who comes after it waits as well, readers too."""
LONGER = 4
"""Each fourth try waits so much longer that PostgreSQL breaks off an autovacuum that has the table: it does so for
who has waited for `deadlock_timeout`, one second unless configured (its handbook, 25.1.6 The Autovacuum Daemon)."""


def _settings() -> AlembicConfig:
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return settings


def migrate(store: Store) -> None:
    """Run the migrations that are missing.

    Raises ConfigError for a database newer than this hub, and where others hold its tables for ten minutes.

    Workers at work lock tables in an order of their own, and a long look (a backup) holds them for minutes. Where
    PostgreSQL ends us to let others go on, nothing was changed, and we begin anew.
    """
    for tried in range(1, TRIES + 1):
        try:
            _migrate(store, longer=tried % LONGER == 0)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in IN_THE_WAY:
                raise
            if tried == TRIES:
                raise ConfigError(
                    "the database could not be migrated: others have held its tables for ten minutes, a backup or a "
                    "long query (pg_stat_activity names them). Let them end and try again; nothing was changed"
                ) from error
            time.sleep(PAUSE)
        else:
            return


def _migrate(store: Store, *, longer: bool) -> None:
    settings = _settings()
    script = ScriptDirectory.from_config(settings)
    with store.write(durable=True) as connection:
        alone(connection, "migrate")  # several processes may start at once
        context = MigrationContext.configure(connection)
        current = context.get_current_revision()
        if current == script.get_current_head():
            return
        known = {revision.revision for revision in script.walk_revisions()}
        if current is not None and current not in known:
            raise ConfigError(
                f"the database is at revision {current}, which this version of Tresse does not know "
                f"(it ends at {script.get_current_head()}): a newer version has migrated it. Install that version "
                "here too; to go back to this one, restore a backup from before"
            )
        if connection.dialect.name == "postgresql":
            more = "(SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout')" if longer else "0"
            connection.execute(sa.text(f"SELECT set_config('lock_timeout', ({PATIENCE} + {more})::text, true)"))
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
