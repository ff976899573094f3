"""What a restored hub does with what it gets a second time."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from hub.pipeline import restored as guard
from hub.pipeline.replay import settle_unsure
from hub.store import Store, backup
from hub.store.alerts import open_alerts_of
from hub.store.cases import case, case_counter, delivery
from hub.store.health import alert
from hub.store.intake import message
from hub.store.migrate import migrate
from hub.store.people import login
from hub.store.restored import Restored
from tests.databases import is_sqlite
from tests.world import CONFIG, World, rows

BLIND_DESK = CONFIG.replace(
    'channels.contact]\nuse = "post"', 'channels.contact]\nuse = "post"\nacknowledge = "nobody"'
)
SEARCHABLE = {"desk"}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, BLIND_DESK)
    yield made
    made.hub.stop()


def on_server(world: World, *statements: str) -> None:
    """Say something to PostgreSQL about a world's database while nobody uses it."""
    world.hub.store.close()
    world.hub._lock.release()
    address = world.hub.store.url.set(drivername="postgresql", database="postgres")
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.format(name=world.hub.store.url.database).encode())


def copy_of(world: World, name: str = "backups") -> Path:
    """A backup: what `tresse backup` makes, or a copy on the server, beside the time it was taken."""
    if not is_sqlite():
        on_server(world, "CREATE DATABASE {name}_copy TEMPLATE {name}")
        (world.folder / name).write_text(world.clock.now().isoformat(), "utf-8")
        world.hub = world._open()
        return world.folder / name
    data = world.folder / "var"
    facts = {"version": "1", "configuration": str(world.file)}
    return backup.take(
        data / "tresse.db", data / "hub.key", world.folder / name, facts, world.clock.now(), lambda _d, _t: None
    )


def lose_and_restore(world: World, folder: Path, until: timedelta | None = None) -> guard.Marked:
    """The hub dies, its database is lost, and the backup takes its place; as `tresse restore` does it."""
    marked: list[guard.Marked] = []
    at = world.clock.now()

    def prepare(url: str, taken_at: datetime) -> None:
        store = Store(url)
        migrate(store)
        restored = Restored(taken_at, at - until if until else at, at)
        marked.append(guard.mark_restored(store, restored, SEARCHABLE))
        store.close()

    if is_sqlite():
        world.hub.store.close()
        world.hub._lock.release()
        data, manifest = world.folder / "var", backup.read_manifest(folder)
        shutil.rmtree(data)
        backup.verify(folder, manifest)
        ready = lambda copy: prepare(f"sqlite:///{copy}", manifest.taken_at)  # noqa: E731
        backup.put(folder, manifest, data / "tresse.db", data / "hub.key", "now", ready)
    else:
        on_server(world, "DROP DATABASE {name}", "ALTER DATABASE {name}_copy RENAME TO {name}")
        prepare(world.hub.store.url.render_as_string(hide_password=False), datetime.fromisoformat(folder.read_text()))
    world.hub = world._open()
    return marked[0]


def sends(world: World) -> dict[str, list]:
    """The acknowledgements owed, by state."""
    found: dict[str, list] = {}
    for row in rows(world, delivery, delivery.c.ability == "send"):
        found.setdefault(row.state, []).append(row)
    return found


def test_mail_of_the_lost_time_is_not_acknowledged_twice(world):
    world.mail(text="avant", id="<a@x>")
    world.go(6)
    folder = copy_of(world)
    world.clock.at += timedelta(minutes=5)
    world.mail(text="pendant", id="<b@x>")
    world.go(6)
    assert len(world.far.sent) == 2
    world.clock.at += timedelta(minutes=5)
    lose_and_restore(world, folder)
    world.go(10)
    assert len(world.far.sent) == 2
    (unsure,) = sends(world)["unsure"]
    assert "before the restore" in unsure.reason
    assert [a.key for a in rows(world, alert, alert.c.closed_at.is_(None))] == ["unsure:support"]
    assert [m.state for m in rows(world, message, message.c.id == unsure.message_id)] == ["unsure"]


def test_mail_that_comes_after_the_restore_is_acknowledged_as_ever(world):
    folder = copy_of(world)
    world.clock.at += timedelta(minutes=5)
    lose_and_restore(world, folder)
    world.clock.at += guard.CLOCKS + timedelta(seconds=1)
    world.mail(text="après")
    world.go(10)
    assert len(world.far.sent) == 1


def test_mail_that_waited_at_its_source_since_before_the_backup_is_guarded_too(world):
    """The mailbox was away at the backup; the lost hub got its mail, and answered, afterwards."""
    world.mail(text="en attente")
    folder = copy_of(world)
    world.go(6)
    assert len(world.far.sent) == 1
    world.clock.at += timedelta(hours=2)
    lose_and_restore(world, folder)
    world.go(10)
    assert len(world.far.sent) == 1
    assert len(sends(world)["unsure"]) == 1


def test_mail_of_a_long_outage_is_acknowledged_where_the_end_of_the_lost_hub_is_known(world):
    folder = copy_of(world)
    world.clock.at += timedelta(hours=4)
    world.mail(text="personne n'écoutait")
    world.clock.at += timedelta(hours=1)
    lose_and_restore(world, folder, until=timedelta(hours=3))
    world.go(10)
    assert len(world.far.sent) == 1


def test_what_was_owed_at_the_backup_is_unsure_or_looked_for(world):
    def away(what: str) -> None:
        if what in ("send", "show"):
            from hub.sdk import Unavailable

            raise Unavailable("not now")

    world.far.trouble = away
    world.mail(text="où est ma commande ?")
    world.go(4)
    folder = copy_of(world)
    world.far.trouble = lambda _what: None
    world.go(400)
    assert (len(world.far.sent), len(world.far.comments)) == (1, 1)
    marked = lose_and_restore(world, folder)
    assert marked.unsure == 1
    world.go(400)
    assert len(world.far.sent) == 1
    assert len(world.far.comments) == 1, "the desk was asked, and had it"


def test_a_desk_is_asked_before_anything_of_the_lost_time_is_written(world):
    folder = copy_of(world)
    world.mail(text="bonjour")
    world.go(6)
    lose_and_restore(world, folder)
    world.far.calls.clear()
    world.go(10)
    assert world.far.calls.index("find") < world.far.calls.index("save_case")
    assert world.far.calls.count("find") >= world.far.calls.count("save_case") + world.far.calls.count("show")


def test_no_case_number_is_given_twice(world):
    world.mail(text="un", id="<1@x>")
    world.go(6)
    folder = copy_of(world)
    world.mail(text="deux", id="<2@x>")
    world.mail(text="trois", id="<3@x>")
    world.go(6)
    before = {c.number for c in rows(world, case)}
    assert len(before) == 3
    marked = lose_and_restore(world, folder)
    assert marked.numbers >= 1000
    kept = {c.number for c in rows(world, case)}
    world.go(10)
    fresh = {c.number for c in rows(world, case)} - kept
    assert len(fresh) == 2
    assert not fresh & before


def test_numbers_of_a_new_year_are_passed_over_as_well(world):
    folder = copy_of(world)
    world.clock.at += timedelta(days=60)
    lose_and_restore(world, folder)
    assert {r.year: r.last >= 1000 for r in rows(world, case_counter)} == {2026: True, 2027: True}


@pytest.mark.parametrize(("sent", "mails"), [(True, 1), (False, 2)])
def test_a_humans_decision_after_a_restore_holds(world, sent, mails):
    folder = copy_of(world)
    world.mail(text="bonjour")
    world.go(6)
    lose_and_restore(world, folder)
    world.go(6)
    (unsure,) = sends(world)["unsure"]
    assert settle_unsure(world.hub.store, world.clock.now(), unsure.id, sent=sent)
    world.mail(text="encore", refs=["<0@customer.example>"])  # planned in the same case at once
    world.go(10)
    assert len(world.far.sent) == mails
    assert set(sends(world)) == {"done"}


@pytest.mark.parametrize(("sent", "more"), [(True, 0), (False, 3)])
def test_what_a_restore_left_unsure_is_decided_at_once(world, sent, more):
    folder = copy_of(world)
    for n in range(3):
        world.mail(text="bonjour", **{"from": f"c{n}@customer.example"})
    world.go(6)
    assert len(world.far.sent) == 3
    lose_and_restore(world, folder)
    world.go(6)
    assert len(sends(world)["unsure"]) == 3
    store, now = world.hub.store, world.clock.now()
    assert settle_unsure(store, now, sent=sent, expected=2) == 0
    assert settle_unsure(store, now, sent=sent, instance="desk") == 0
    assert settle_unsure(store, now, sent=sent, instance="support", expected=3) == 3
    world.go(6)
    assert len(world.far.sent) == 3 + more
    assert set(sends(world)) == {"done"}
    assert all(c.acknowledged_at for c in rows(world, case))
    assert {m.state for m in rows(world, message) if m.direction == "out"} == {"sent"}
    with store.read() as connection:
        assert open_alerts_of(connection, "unsure") == {}


def test_sessions_that_were_ended_do_not_come_back(world):
    with world.hub.store.write() as connection:
        connection.execute(
            sa.insert(login).values(name="marie", password_hash="x", role="admin", created_at=world.clock.now())
        )
    before = rows(world, login)[0].session_epoch
    lose_and_restore(world, copy_of(world))
    assert rows(world, login)[0].session_epoch == before + 1
