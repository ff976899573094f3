"""The migrations make exactly the tables the code speaks of."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hub.sdk import ConfigError
from hub.store import Store
from hub.store.migrate import migrate
from hub.store.tables import metadata
from tests.databases import database_url


@pytest.fixture
def store(tmp_path):
    store = Store(database_url(tmp_path, "x.db"))
    migrate(store)
    yield store
    store.close()


def test_tables_and_migrations_agree(store):
    with store.read() as connection:
        context = MigrationContext.configure(connection)
        # SQLite keeps partial indexes' WHERE, which Alembic does not compare: it is written twice, read once.
        found = [d for d in compare_metadata(context, metadata) if "ix_message_sent" not in str(d)]
    assert found == []


def test_migrating_twice_changes_nothing(store):
    migrate(store)


def test_a_database_of_a_newer_hub_is_left_alone(store):
    with store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"does not know \(it ends at \d{4}\).* Install that version here too"):
        migrate(store)


def test_a_migration_that_stood_in_a_workers_way_begins_anew(tmp_path, monkeypatch):
    """Both had locked a table that the other wanted; PostgreSQL ends one of them."""
    real, tried = command.upgrade, []

    class Deadlock(Exception):
        sqlstate = "40P01"

    def upgrade(*arguments):
        real(*arguments)
        tried.append(1)
        if len(tried) < 3:
            raise sa.exc.OperationalError("ALTER TABLE", {}, Deadlock())

    monkeypatch.setattr(command, "upgrade", upgrade)
    monkeypatch.setattr("hub.store.migrate.PAUSE", 0.0)
    store = Store(database_url(tmp_path, "y.db"))
    migrate(store)
    migrate(store)
    assert len(tried) == 3
    store.close()
