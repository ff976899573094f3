"""Bringing the database to the newest schema, with Alembic and without a file of settings."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from hub.log import logger
from hub.sdk import ConfigError
from hub.store.session import Store, alone

AGAIN = 600.0
"""Seconds for which a migration begins anew while others stand in its way."""
PAUSE, GROWS, LONGEST = 0.1, 1.05, 2.0
"""Seconds between two tries: at first, how they grow, and at most. A busy hub lets us in after some tries."""
IN_THE_WAY = {"40P01", "55P03"}
"""PostgreSQL's words for two that wait for each other, and for a lock that was not to be had in time."""
PATIENCE = 100
"""Milliseconds a migration waits for a table. Everybody who comes after it waits as well, readers too; and who holds
this table may wait for another one that we have, and let neither go."""
LONGER = 4
"""Each fourth try waits until PostgreSQL breaks off an autovacuum that has a table: it does so for who has waited for
`deadlock_timeout`, one second unless configured (its handbook, 25.1.6 The Autovacuum Daemon). What a human began with
the same lock (VACUUM, an index made concurrently) does not give way; these tries are spent in vain then."""
TELL = 30.0
"""Seconds between two lines that say that it still waits."""
_CLEANING = """
SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout' AND EXISTS (
    SELECT 1 FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
    JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'relation' AND mode = 'ShareUpdateExclusiveLock'
    AND nspname = current_schema() AND datname = current_database())
"""


def _settings() -> AlembicConfig:
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return settings


@cache
def _revisions() -> ScriptDirectory:
    """What this version knows; read once a process, for each revision is a file of its own."""
    return ScriptDirectory.from_config(_settings())


def migrate(store: Store) -> None:
    """Run the migrations that are missing.

    Raises ConfigError for a database newer than this hub, and where others hold its tables for ten minutes.

    Workers at work lock tables in an order of their own, and a long look (a backup) holds them for minutes. Where
    PostgreSQL ends us to let others go on, nothing was changed, and we begin anew.
    """
    began = told = time.monotonic()
    tried = 0
    while True:
        tried += 1
        try:
            return _migrate(store, longer=tried % LONGER == 0)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in IN_THE_WAY:
                raise
            now = time.monotonic()
            if now - began > AGAIN:
                raise ConfigError(
                    "the database could not be migrated: others have held its tables for ten minutes, a backup or a "
                    "long query (pg_stat_activity names them). Let them end and try again; nothing was changed"
                ) from error
            if now - told > TELL:
                told = now
                logger().warning("the migration waits for tables that others hold", seconds=round(now - began))
            time.sleep(min(LONGEST, PAUSE * GROWS**tried))


def _migrate(store: Store, *, longer: bool) -> None:
    script = _revisions()
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
            more = connection.scalar(sa.text(_CLEANING)) if longer else None
            connection.execute(sa.text(f"SET LOCAL lock_timeout = {PATIENCE + (more or 0)}"))
        settings = _settings()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
