"""The migrations make exactly the tables the code speaks of."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hub.sdk import ConfigError
from hub.store import Store
from hub.store.migrate import _settings, migrate
from hub.store.tables import metadata
from tests import databases
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
    monkeypatch.setattr("hub.store.migrate.LONGEST", 0.0)
    store = Store(database_url(tmp_path, "y.db"))
    migrate(store)
    migrate(store)
    assert len(tried) == 3
    store.close()


def test_a_migration_that_waits_lets_others_pass(store, monkeypatch):
    """A backup holds the table for long; who stands in line for all of it would keep everybody behind from reading."""
    if databases.is_sqlite():
        pytest.skip("SQLite has one writer, and readers never wait")
    monkeypatch.setattr("hub.store.migrate.LONGEST", 0.2)
    monkeypatch.setattr("hub.store.migrate.PATIENCE", 200)
    with store.write() as connection:
        settings = _settings()
        settings.attributes["connection"] = connection
        command.downgrade(settings, "-1")
    looked: list[object] = []
    with store.session() as backup, ThreadPoolExecutor() as threads:
        backup.execute(sa.text("SELECT count(*) FROM step"))
        migrating = threads.submit(migrate, store)
        time.sleep(0.1)
        with store.write() as connection:
            connection.execute(sa.text("SET LOCAL statement_timeout = 5000"))
            looked.append(connection.scalar(sa.text("SELECT count(*) FROM step")))
        assert not migrating.done()
        backup.rollback()
        migrating.result(20)
    assert looked == [0]


def test_a_migration_gives_up_with_a_sentence_and_tells_before_that_it_waits(tmp_path, monkeypatch, capsys):
    class Locked(Exception):
        sqlstate = "55P03"

    def upgrade(*_arguments):
        raise sa.exc.OperationalError("ALTER TABLE", {}, Locked())

    monkeypatch.setattr(command, "upgrade", upgrade)
    monkeypatch.setattr("hub.store.migrate.LONGEST", 0.05)
    monkeypatch.setattr("hub.store.migrate.TELL", 0.2)
    monkeypatch.setattr("hub.store.migrate.AGAIN", 0.5)
    store = Store(database_url(tmp_path, "z.db"))
    with pytest.raises(ConfigError, match="others have held its tables for ten minutes"):
        migrate(store)
    said = capsys.readouterr()
    assert "the migration waits for tables that others hold" in said.out + said.err
    store.close()
