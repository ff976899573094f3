"""A migration is not kept waiting by a table that PostgreSQL is cleaning up, which may take hours."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command

from hub.store import Store
from hub.store.migrate import migrate
from tests.servers.install import need
from tests.servers.ports import wait_for
from tests.servers.postgres import Postgres

CLEANING = (
    "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE backend_type = 'autovacuum worker' "
    "AND query LIKE 'autovacuum: VACUUM%public.step' AND relation = 'step'::regclass AND granted "
    "AND datname = current_database()"
)
"""Not when it analyses the table, which is over in a moment, nor before it has its lock, nor another database's."""


@pytest.fixture
def cleaning() -> Iterator[Store]:
    """A database whose table `step` is being cleaned for a minute and more.

    On a server of its own: where there are hundreds of databases, each waits long for its turn to be cleaned.
    """
    need("postgres")
    with Postgres() as server:
        yield from _cleaned_by(server)


def _cleaned_by(server: Postgres) -> Iterator[Store]:
    store = Store(server.new_hub_database())
    plain = store.url.set(drivername="postgresql").render_as_string()
    with psycopg.connect(plain, autocommit=True) as admin:
        admin.execute(
            "ALTER TABLE step SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, "
            "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)"
        )
        admin.execute(
            "INSERT INTO raw (instance, source_key, received_at, sha256, size, facts, data) "
            "SELECT 'x', n::text, 0, '', 0, '{}', '' FROM generate_series(1, 20000) n"
        )
        admin.execute(
            "INSERT INTO step (raw_id, stage, state, instance, due_at) SELECT id, 'read', 'kept', 'x', 0 FROM raw"
        )
        admin.execute("UPDATE step SET reason = 'again'")
        try:
            admin.execute("ALTER SYSTEM SET autovacuum_naptime = 1")
            admin.execute("SELECT pg_reload_conf()")
            wait_for(lambda: admin.execute(CLEANING).fetchone() != (0,), 60, "PostgreSQL to clean the table")
            yield store
        finally:
            store.close()


@pytest.mark.timeout(120)
def test_a_migration_makes_an_autovacuum_give_way(cleaning, monkeypatch):
    tried = []

    def upgrade(settings, _revision):
        tried.append(1)
        settings.attributes["connection"].execute(sa.text("ALTER TABLE step ADD COLUMN newer integer"))

    monkeypatch.setattr(command, "upgrade", upgrade)
    monkeypatch.setattr("hub.store.migrate.LONGEST", 0.05)
    with cleaning.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0014'"))
    migrate(cleaning)
    assert len(tried) >= 4  # the first three let others pass
