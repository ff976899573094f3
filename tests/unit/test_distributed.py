"""The distributed engine on a real PostgreSQL: workers in threads here, killed as processes in tests/campaign."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from hub.app import Hub, connect, open_hub
from hub.cli import main
from hub.clock import SystemClock
from hub.config import load
from hub.engine import distributed
from hub.engine.jobs import SCHEMA, Jobs, lost, prepare
from hub.engine.lock import DatabaseLock
from hub.pipeline import gone
from hub.pipeline.replay import pause
from hub.registry import Registry
from hub.sdk import ConfigError, Raw, Unavailable
from hub.store import ILL, Store
from hub.store.cases import delivery
from hub.store.intake import raw, step
from hub.store.lanes import READING, lane, lost_lanes, out_lane, take_due
from hub.store.leases import take_lease
from hub.store.migrate import migrate
from hub.store.notes import get_note
from hub.store.postgresql import NOTICED
from tests.unit.test_engine import CLASSES, until
from tests.world import ANSWERS, CONFIG, FAR


def configured(folder: Path, url: str, kind: str = "distributed", name: str = "hub") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "answers.csv").write_text(ANSWERS, "utf-8")
    text = CONFIG.format(data=folder / "var", answers=folder / "answers.csv")
    file = folder / f"{name}.toml"
    file.write_text(f'{text}\n[database]\nurl = "{url}"\n[engine]\nkind = "{kind}"\n', "utf-8")
    return file


@pytest.fixture
def url(postgres) -> str:
    return postgres.new_hub_database()


@pytest.fixture
def worker(tmp_path, url) -> Any:
    """Makes started workers; all end with the test."""
    FAR.__init__()  # type: ignore[misc]
    with contextlib.ExitStack() as ending:

        def start() -> Hub:
            hub = open_hub(load(configured(tmp_path, url)), registry=Registry(_components=CLASSES))
            ending.callback(hub.stop)
            hub.start()
            return hub

        yield start


def write(*texts: str, sender: str = "alice@customer.example") -> None:
    for text in texts:
        n = len(FAR.mails)
        said = {"id": f"<{n}@x>", "from": sender, "text": text}
        FAR.mails.append(Raw(f"k{n}", json.dumps(said).encode()))


def quiet(hub: Hub) -> Callable[[], bool]:
    """Nothing is left to do, by the rows."""

    def look() -> bool:
        open_ones = delivery.c.state.in_(("waiting", "sending"))
        with hub.store.read() as connection:
            counts = [
                connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where))
                for table, where in ((step, ()), (delivery, (open_ones,)), (lane, ()))
            ]
        return not any(counts)

    return look


def no_job(hub: Hub) -> bool:
    """The queue is empty: a job goes a moment after its lane."""
    with hub.store.read() as connection:
        return connection.scalar(sa.text("SELECT count(*) FROM procrastinate_jobs")) == 0


def test_a_mail_becomes_a_ticket_and_leaves_no_lane_and_no_job(worker):
    hub = worker()
    write("Bonjour, où est ma commande ?")
    assert until(lambda: len(FAR.comments) == 1 and len(FAR.sent) == 1, 20)
    assert until(quiet(hub), 20)
    assert until(lambda: no_job(hub), 10)
    assert hub.engine.alive()


def test_two_workers_share_the_work_and_one_mailbox_has_one_owner(worker):
    first, second = worker(), worker()
    for n in range(30):
        write(f"Bonjour {n}", sender=f"c{n}@customer.example")
    assert until(lambda: len(FAR.tickets) == 30, 40)
    assert until(quiet(first), 20)
    assert sorted(t["case"] for t in FAR.tickets.values()) == [f"TR-2026-{n:06}" for n in range(1, 31)]
    owners = [s for hub in (first, second) for s in hub.engine._owning._held]
    assert len(owners) == len(set(owners))
    assert FAR.calls.count("save_case") == 30


def test_a_job_that_its_own_living_worker_lost_sight_of_is_taken_up_again(worker, monkeypatch):
    """The database goes away while a job is marked as done (or taken): the job says "doing", and nobody works on it."""
    from procrastinate.exceptions import ConnectorException
    from procrastinate.manager import JobManager

    monkeypatch.setattr("hub.engine.rescue.EVERY", 0.5)
    real, lost_answers = JobManager.finish_job, []

    async def finish(self: Any, job: Any, *args: Any, **more: Any) -> None:
        if (job.lock or "").startswith("out/desk/") and not lost_answers:
            lost_answers.append(job.lock)
            raise ConnectorException
        await real(self, job, *args, **more)

    monkeypatch.setattr(JobManager, "finish_job", finish)
    hub = worker()
    write("Bonjour, où est ma commande ?")
    assert until(lambda: bool(lost_answers), 20)
    write("Et mon colis ?")  # goes through the same lane
    assert until(quiet(hub), 20)
    assert until(lambda: no_job(hub), 10)


def test_a_connection_that_is_cut_ends_nothing_that_is_at_work(worker, monkeypatch):
    """Not the one that listens, and none that a transaction finds broken: a call under way goes on, alone."""
    monkeypatch.setattr(distributed, "LOST", 0.5)
    begun, go_on = threading.Event(), threading.Event()

    def slow(what: str) -> None:
        if what == "save_case":
            begun.set()
            go_on.wait(20)

    FAR.trouble = slow
    hub = worker()
    write("Bonjour")
    assert begun.wait(20)
    for _ in range(3):
        with hub.store.write() as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'"
            assert connection.execute(sa.text(cut)).all()
        time.sleep(2.5)
    FAR.trouble = lambda _what: None
    go_on.set()
    write("Et mon colis ?", sender="bob@customer.example")
    assert until(lambda: len(FAR.tickets) == 2, 20)
    assert until(quiet(hub), 20)
    assert FAR.calls.count("save_case") == 2
    assert "find" not in FAR.calls


def test_a_worker_that_ends_leaves_its_sources_to_another_at_once(worker):
    first = worker()
    assert until(lambda: len(first.engine._owning._held) == len(first.engine._owning._sources), 10)
    second = worker()
    first.stop()
    write("Bonjour")
    assert until(lambda: len(FAR.tickets) == 1, 8)
    assert second.engine._owning._held


def test_a_desk_that_is_away_is_waited_for_and_its_lanes_have_no_job_meanwhile(worker, monkeypatch):
    FAR.trouble = _away
    hub = worker()
    write("Bonjour")
    assert until(lambda: hub.instances["desk"].health.state == "amber", 15)

    def waits() -> bool:
        with hub.store.read() as connection:
            rows = connection.execute(sa.select(lane).where(lane.c.queue == "desk")).all()
            jobs = connection.scalar(sa.text("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'desk'"))
        return len(rows) == 1 and not rows[0].live and jobs == 0

    assert until(waits, 15)
    FAR.trouble = lambda _what: None
    assert until(lambda: len(FAR.tickets) == 1, 40)


def _away(what: str) -> None:
    if what in ("save_case", "find"):
        raise Unavailable("no route to host")


def test_a_pause_is_seen_by_every_worker(worker):
    hub = worker()
    pause(hub.store, hub.clock.now(), "desk", "marie", on=True)
    assert until(lambda: hub.instances["desk"].paused, 10)
    write("Bonjour")
    assert until(lambda: "suggest" in FAR.calls, 15)
    time.sleep(1.5)
    assert FAR.tickets == {}
    pause(hub.store, hub.clock.now(), "desk", "marie", on=False)
    assert until(lambda: len(FAR.tickets) == 1, 15)


def test_jobs_that_are_all_lost_lose_nothing(worker, monkeypatch):
    monkeypatch.setattr(distributed, "LOST", 0.5)
    FAR.trouble = _away
    hub = worker()
    write("Bonjour")
    assert until(lambda: hub.instances["desk"].health.state == "amber", 15)
    with hub.store.write() as connection:
        connection.execute(sa.text("DELETE FROM procrastinate_jobs WHERE status = 'todo'"))
        connection.execute(sa.delete(lane))
    FAR.trouble = lambda _what: None
    assert until(lambda: len(FAR.tickets) == 1, 40)
    assert until(quiet(hub), 20)


def test_a_lane_whose_job_is_gone_is_found(tmp_path, url):
    store = connect(load(configured(tmp_path, url)))
    now = SystemClock().now()
    parts: Any = SimpleNamespace(now=lambda: now, instances={})
    with store.write() as connection:
        row = {"key": "plan/1", "queue": "#plan", "due_at": now - timedelta(seconds=1), "behind": False, "live": True}
        connection.execute(sa.insert(lane).values(**row))
        assert lost(connection, parts) == 1
        assert not connection.scalar(sa.select(lane.c.live))
    store.close()


def test_a_lane_of_readers_that_sleeps_while_something_is_due_is_found(tmp_path, url):
    """Whoever wrote it died before it said so; the lane waits for something else, hours from now."""
    store, now = connect(load(configured(tmp_path, url))), SystemClock().now()
    with store.write() as connection:
        for n, (instance, due) in enumerate([("desk", -60), ("desk", 18_000), ("shop", 18_000)], 1):
            values = {"instance": instance, "source_key": str(n), "received_at": now, "sha256": "", "size": 0}
            connection.execute(sa.insert(raw).values(id=n, facts={}, data=b"", **values))
            at = now + timedelta(seconds=due)
            connection.execute(
                sa.insert(step).values(raw_id=n, stage="read", state="waiting", instance=instance, due_at=at)
            )
        for instance in ("desk", "shop"):
            later = {"due_at": now + timedelta(hours=5), "behind": False, "live": False}
            connection.execute(sa.insert(lane).values(key=f"read/{instance}", queue=READING, **later))
        assert lost_lanes(connection, now) == 1
        assert [one.key for one in take_due(connection, [READING], now, 10)] == ["read/desk"]
    store.close()


def test_what_is_written_and_rolled_back_wakes_nobody(tmp_path, url):
    from hub.store.lanes import read_lane

    store = connect(load(configured(tmp_path, url)))
    with contextlib.suppress(ZeroDivisionError), store.write() as connection:
        store.wake(connection, [read_lane("support")])
        raise ZeroDivisionError
    with store.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM procrastinate_jobs")) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(lane)) == 0
    with store.write() as connection:
        store.wake(connection, [read_lane("support"), read_lane("support")])
        store.wake(connection, [read_lane("support")])
    with store.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM procrastinate_jobs")) == 1
    store.close()


def test_a_backlog_waits_in_our_rows_and_not_in_the_queue(tmp_path, url, monkeypatch):
    """What fetching a job costs grows with the jobs that wait, whichever queue they are in."""
    monkeypatch.setattr("hub.engine.jobs.WINDOW", 3)
    store, jobs, now = connect(load(configured(tmp_path, url))), Jobs(), SystemClock().now()
    with store.write() as connection:
        store.wake(connection, [out_lane(f"desk/{n}") for n in range(2)])
    with store.write() as connection:
        store.wake(connection, [out_lane(f"desk/{n}") for n in range(2, 4)])
        store.wake(connection, [out_lane(f"desk/{n}") for n in range(4, 9)])
        store.wake(connection, [out_lane("shop/1")])
        live = connection.scalars(sa.select(lane.c.key).where(lane.c.live).order_by(lane.c.key)).all()
        assert live == ["out/desk/0", "out/desk/1", "out/desk/2", "out/shop/1"]
        assert (jobs.room(connection, "desk").in_turn, jobs.room(connection, "shop").in_turn) == (0, 2)
        store.wake(connection, [out_lane("desk/8")])
        store.wake(connection, [out_lane("shop/2", behind=True)])
        connection.execute(sa.text("DELETE FROM procrastinate_jobs WHERE lock IN ('out/desk/0', 'out/desk/1')"))
        assert jobs.room(connection, "desk").in_turn == 2
        taken = take_due(connection, ["desk"], now + timedelta(seconds=1), jobs.room(connection, "desk").in_turn)
        assert sorted(taken) == [out_lane("desk/3"), out_lane("desk/4")]
        jobs.defer(connection, taken)
        assert not jobs.room(connection, "desk").in_turn
        assert take_due(connection, ["shop"], now + timedelta(seconds=1), 0, jobs.room(connection, "shop").floods)
    store.close()


def tables(store: Any) -> tuple[str | None, str | None]:
    with store.read() as connection:
        row = connection.execute(sa.text("SELECT to_regclass('pre')::text, to_regclass('post')::text")).one()
    return row[0], row[1]


def test_its_tables_are_made_once_and_upgraded_in_order(monkeypatch, postgres):
    from hub.store import Store
    from hub.store.migrate import migrate

    store = Store(postgres.new_database())
    migrate(store)
    prepare(store)
    prepare(store)
    with store.read() as connection:
        done = get_note(connection, SCHEMA) or ""
        names = connection.scalars(sa.text("SELECT indexname FROM pg_indexes WHERE tablename = 'procrastinate_jobs'"))
        assert {"tresse_jobs_lock", "tresse_jobs_todo"} <= set(names)
    assert "03.04.00_50_post_add_retry_failed_job_procedure.sql" in done
    newer = dict.fromkeys(done.split("\n"), "")
    newer |= {"99.00.00_01_pre_new.sql": "CREATE TABLE pre ()", "99.00.00_50_post_new.sql": "CREATE TABLE post ()"}
    monkeypatch.setattr("hub.engine.jobs._migrations", lambda: newer)
    with store.write() as connection:
        connection.execute(sa.text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    prepare(store)  # an old worker lives: it must not lose what it calls
    assert tables(store) == ("pre", None)
    with store.write() as connection:
        connection.execute(sa.text("DELETE FROM procrastinate_workers"))
    prepare(store)
    assert tables(store) == ("pre", "post")
    prepare(store)
    store.close()


def test_an_instance_that_is_gone_leaves_no_lane_and_no_job(worker, monkeypatch):
    for name, value in (("EVERY", 0.2), ("FRESH", timedelta(seconds=5)), ("PATIENCE", timedelta(seconds=3))):
        monkeypatch.setattr(gone, name, value)
    hub = worker()
    now = hub.clock.now()
    owed = {"key": "k", "instance": "gone", "ability": "show", "lane": "gone/1", "state": "waiting"}
    with hub.store.write() as connection:
        connection.execute(sa.insert(delivery).values(**owed, due_at=now, created_at=now))
        hub.store.wake(connection, [out_lane("gone/1")])

    def left() -> tuple[Any, ...]:
        with hub.store.read() as connection:
            return (
                connection.scalar(sa.select(delivery.c.state)),
                connection.scalar(sa.select(sa.func.count()).select_from(lane)),
                connection.scalar(sa.text("SELECT count(*) FROM procrastinate_jobs")),
            )

    assert left() == ("waiting", 1, 1)
    assert until(lambda: left() == ("rejected", 0, 0), 20)


def test_another_kind_of_engine_is_refused_and_a_web_process_is_not(worker, tmp_path, url):
    worker()
    with pytest.raises(ConfigError, match="another hub works on this database"):
        open_hub(load(configured(tmp_path, url, "embedded", "other")), registry=Registry(_components=CLASSES))
    pages = open_hub(load(configured(tmp_path, url)), engine=False, registry=Registry(_components=CLASSES))
    assert pages.engine is None
    pages.start()
    pages.stop()


def test_two_embedded_engines_on_one_database_are_refused(tmp_path, url):
    FAR.__init__()  # type: ignore[misc]
    first = open_hub(load(configured(tmp_path, url, "embedded")), registry=Registry(_components=CLASSES))
    with pytest.raises(ConfigError, match="another hub works on this database"):
        open_hub(load(configured(tmp_path, url, "embedded")), registry=Registry(_components=CLASSES))
    first.stop()
    open_hub(load(configured(tmp_path, url, "embedded")), registry=Registry(_components=CLASSES)).stop()


@pytest.mark.parametrize("cut", [True, False])
def test_an_engine_whose_session_was_cut_is_alone_all_the_same(tmp_path, url, monkeypatch, cut):
    """The lock belongs to a session. It is taken anew, or, where another engine was quicker, this one ends."""
    monkeypatch.setattr("hub.engine.lock.WATCH", 0.1)
    store, other = Store(url), Store(url)
    mine, theirs = (DatabaseLock(one, shared=False) for one in (store, other))
    stop, ended = threading.Event(), threading.Event()
    mine.take()
    mine.watch(stop, ended.set)
    if not cut:
        with mine._lock:
            mine._let_go()  # the network is gone, and the server has ended the session
            theirs.take()
        assert ended.wait(5)
    else:
        pid = mine._session["pid"]
        with other.write() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        assert until(lambda: mine._session["pid"] != pid, 5)
        with pytest.raises(ConfigError):
            theirs.take()
        assert not ended.is_set()
    stop.set()
    for lock in (mine, theirs):
        lock.release()
    store.close()
    other.close()


def test_a_database_is_marked_as_restored_only_while_nobody_works_on_it(worker, tmp_path, url, capsys):
    first, second = worker(), worker()
    file = configured(tmp_path, url)

    def mark() -> int:
        with pytest.raises(SystemExit) as ended:
            main(["restore", "--mark", "-c", str(file)])
        return int(ended.value.code or 0)

    assert mark() == 1
    first.stop()
    assert mark() == 1
    assert "stop it and every worker first" in capsys.readouterr().err
    second.stop()
    assert mark() == 0
    assert worker().parts.restored is not None, "and the lock was given back"


def test_hosts_share_the_key(tmp_path, url):
    FAR.__init__()  # type: ignore[misc]
    open_hub(load(configured(tmp_path / "one", url)), registry=Registry(_components=CLASSES)).stop()
    with pytest.raises(ConfigError, match=r"copy hub\.key"):
        open_hub(load(configured(tmp_path / "two", url)), registry=Registry(_components=CLASSES))


def test_distributed_needs_postgresql(tmp_path):
    file = configured(tmp_path, f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(ConfigError, match="needs PostgreSQL"):
        open_hub(load(file), registry=Registry(_components=CLASSES))


# A connection that was cut is not closed by whoever held it; it is the cut that is tested.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_database_that_goes_and_comes_back_is_told_once_each(tmp_path, capsys):
    from hub.log import configure
    from tests.servers.install import need
    from tests.servers.postgres import Postgres

    need("postgres")
    configure("INFO")
    FAR.__init__()  # type: ignore[misc]
    with Postgres(safe=True) as server:
        url = server.new_hub_database()
        hub = open_hub(load(configured(tmp_path, url)), registry=Registry(_components=CLASSES))
        hub.start()
        try:
            write("Bonjour")
            assert until(lambda: len(FAR.tickets) == 1, 20)
            with server.outage(3):
                write("Bonsoir", sender="bob@customer.example")
            assert until(lambda: len(FAR.tickets) == 2, 40)
            assert until(quiet(hub), 40)
        finally:
            hub.stop()
    said = capsys.readouterr().err
    assert said.count("the database does not answer") == said.count("the database answers again") == 1, said
    assert "bug" not in said


def test_a_worker_that_stands_still_in_a_transaction_keeps_no_mailbox_for_long(url, monkeypatch):
    """As a frozen virtual machine does: its lease ends, but the row that says so is locked by it."""
    monkeypatch.setitem(NOTICED, "idle_in_transaction_session_timeout", 500)
    store = Store(url)
    migrate(store)
    now = SystemClock().now()
    with store.session() as frozen:
        assert take_lease(frozen, "support", "poll", "frozen", now) == 1
        begun = time.monotonic()
        with store.write() as connection:
            assert take_lease(connection, "support", "poll", "another", now) == 1
        assert 0.4 < time.monotonic() - begun < 10
        with pytest.raises(ILL):
            frozen.execute(sa.text("SELECT 1"))
    store.close()
