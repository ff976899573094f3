"""`tresse backup`, `tresse restore`: a copy of everything while the hub works, and the way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import typer

from hub.cli.ground import DEFAULT, AsJson, ConfigPath, complain, err, local, now, say, show_json
from hub.config import Config, load
from hub.engine.lock import EngineLock, held, sole_lock
from hub.sdk import PROJECT, ConfigError, abilities_of
from hub.store import Store, backup

Target = Annotated[
    Path | None,
    typer.Argument(help='Folder to put it in; "backups" in the data directory unless named.', file_okay=False),
]
Keep = Annotated[int, typer.Option(min=0, help="Leave this many in the folder and remove older ones; 0 removes none.")]
Source = Annotated[
    Path | None, typer.Argument(help="The backup: the folder with its manifest.", exists=True, file_okay=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace the database that is there; it keeps another name.")]
Mark = Annotated[
    bool,
    typer.Option("--mark", help="The database was restored by other means (pg_restore): only put up the guard for it."),
]
Stopped = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help='When the lost hub stopped, as "2026-11-27 14:30"; mail that came later is acknowledged as usual.',
    ),
]


def take_backup(
    target: Target = None, keep: Keep = 0, config: ConfigPath = DEFAULT, json_output: AsJson = False
) -> None:
    """Copy the database and its key into a private folder, while the hub runs; the copy is verified."""
    loaded = load(config)
    database = _sqlite(loaded, "backup")
    if not database.exists():
        raise ConfigError(f"there is no database yet in {loaded.hub.data}")
    began = time.monotonic()
    into = (target or loaded.hub.data / "backups").absolute()
    facts = {"version": metadata.version(PROJECT), "configuration": str(loaded.path)}
    with _progress(json_output=json_output) as progress:
        folder = backup.take(database, _key(loaded), into, facts, now(), progress)
    gone = backup.expire(into, keep) if keep else []
    manifest = backup.read_manifest(folder)
    if json_output:
        seconds = round(time.monotonic() - began, 2)
        show_json({"backup": str(folder), "manifest": manifest, "removed": [str(p) for p in gone], "seconds": seconds})
        return
    size = sum(int(f["size"]) for f in manifest.files.values())
    say(f"{folder}: {size / 1e6:.1f} MB, {_counted(manifest)}; verified.", "green")
    say("It holds customers' mail and the key of stored tokens; secrets of the configuration are not in it.")
    if gone:
        say(f"{len(gone)} older ones were removed.", "dim")


def restore(
    source: Source = None,
    force: Force = False,
    mark: Mark = False,
    stopped: Stopped = "",
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Put a backup in place of a lost database. The hub must be stopped. No acknowledgement is sent a second time."""
    if (source is None) != mark:
        raise typer.BadParameter("name the backup, or say --mark")
    loaded, began, at = load(config), time.monotonic(), now()
    until = _time(stopped, loaded, at)
    done = _mark_alone(loaded, at, until) if source is None else _put(loaded, source, at, until, force=force)
    done["seconds"] = round(time.monotonic() - began, 2)
    done["minutes_at_risk"] = round(max(0.0, (until - done["taken_at"]).total_seconds()) / 60, 2)
    if json_output:
        show_json(done)
    else:
        _tell(loaded, done)


# -- putting it in place -------------------------------------------------------------------------


def _put(loaded: Config, source: Path, at: datetime, until: datetime, *, force: bool) -> dict[str, Any]:
    database = _sqlite(loaded, "restore")
    manifest = backup.read_manifest(source)
    with held(EngineLock.beside(database)):
        if database.exists() and not force:
            raise ConfigError(f"there is a database {database} already: --force puts the backup in its place")
        backup.verify(source, manifest)
        marked: dict[str, Any] = {}

        def prepare(copy: Path) -> None:
            marked.update(_migrated_and_marked(f"sqlite:///{copy}", loaded, manifest.taken_at, at, until))

        aside = backup.put(source, manifest, database, _key(loaded), f"{at:%Y%m%d-%H%M%SZ}", prepare)
    return {"backup": str(source), "aside": [str(p) for p in aside], **marked}


def _mark_alone(loaded: Config, at: datetime, until: datetime) -> dict[str, Any]:
    """For a database that was restored by its own tools."""
    from hub.store.restored import last_sign

    store = Store(loaded.database_url)
    try:
        with held(sole_lock(store)):
            with store.read() as connection:
                taken_at = last_sign(connection) or at
            return _migrated_and_marked(loaded.database_url, loaded, taken_at, at, until)
    except sa.exc.OperationalError as error:
        raise ConfigError(f"the database does not answer as it should ({error.orig})") from error
    finally:
        store.close()


def _migrated_and_marked(url: str, loaded: Config, taken_at: datetime, at: datetime, until: datetime) -> dict[str, Any]:
    from hub.pipeline.restored import mark_restored
    from hub.store.migrate import migrate
    from hub.store.restored import Restored

    store = Store(url)
    try:
        migrate(store)
        marked = mark_restored(store, Restored(taken_at, until, at), _searchable(loaded))
    finally:
        store.close()
    return {"taken_at": taken_at, "restored_at": at, "until": until, "marked": marked}


def _searchable(loaded: Config) -> set[str]:
    """Instances whose far side can be asked what it has already; one that does not load counts as blind."""
    from hub.registry import load_plugins

    registry, found = load_plugins(), set()
    for section in loaded.sections:
        try:
            if "Finds" in abilities_of(registry.component(section.kind, section.use)):
                found.add(section.id)
        except ConfigError as error:
            complain(f"{section.path}: {error}")
    return found


# -- what is said --------------------------------------------------------------------------------


def _tell(loaded: Config, done: dict[str, Any]) -> None:
    marked, minutes = done["marked"], done["minutes_at_risk"]
    say(f"Restored in {done['seconds']:g} s: the hub's memory ends at {local(done['taken_at'], loaded)}.", "green")
    for aside in done.get("aside", ()):
        say(f"What was there is kept as {aside}.")
    say("What happens next, once you start the hub:", "bold")
    say("- Mailboxes and desks are read again from where the backup stood: mail that is still there comes back.")
    say(
        f"- {minutes:g} minutes are at risk: what was pushed in that time (forms, calls), what people decided on the "
        "pages, and mail that was moved or deleted after it was stored. Nobody sends those again."
    )
    say(
        "- Nothing is acknowledged twice: mail that came before the hub was lost gets a case, and its acknowledgement "
        'waits as "unsure" until you say whether the customer had one (tresse deliveries --state unsure).'
    )
    say(
        f"- {marked.unsure} deliveries are unsure already; {marked.looked_for} are looked for before they are repeated."
    )
    say(f"- {marked.numbers} case numbers are passed over: the lost hub may have given them.")
    say("- Everybody logs in again. Logins and tokens are those of the backup: look whether one should be gone.")


def _counted(manifest: backup.Manifest) -> str:
    names = {"customer": "customers", "cases": "cases", "message": "messages"}
    return ", ".join(f"{manifest.counts.get(table, 0)} {name}" for table, name in names.items())


@contextmanager
def _progress(*, json_output: bool) -> Iterator[backup.Progress]:
    from rich.progress import Progress

    with Progress(console=err, transient=True, disable=json_output or not err.is_terminal) as bar:
        task = bar.add_task("copying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


# -- what is meant -------------------------------------------------------------------------------


def _sqlite(loaded: Config, what: str) -> Path:
    """The database's file. Raises ConfigError with the exact commands where it is not SQLite."""
    url = sa.make_url(loaded.database_url)
    if url.get_backend_name() == "sqlite":
        return Path(str(url.database)).absolute()
    plain = sa.URL.create("postgresql", url.username, None, url.host, url.port, url.database).render_as_string()
    commands = {
        "backup": f'umask 077; pg_dump --format=custom --no-owner --file=tresse.dump "{plain}"',
        "restore": f'pg_restore --clean --if-exists --no-owner --single-transaction --dbname="{plain}" tresse.dump',
    }
    then = {
        "backup": f"keep {_key(loaded)} beside it",
        "restore": f"put hub.key back into {loaded.hub.data}, then say: tresse restore --mark -c {loaded.path}",
    }
    raise ConfigError(f"this database is PostgreSQL, which has its own tool: {commands[what]}\nThen {then[what]}")


def _key(loaded: Config) -> Path:
    return loaded.hub.data / backup.KEY


def _time(text: str, loaded: Config, at: datetime) -> datetime:
    """A time somebody wrote, in the company's zone unless it names its own; never later than now."""
    if not text:
        return at
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter('write a time as "2026-11-27 14:30"', param_hint="--stopped") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(loaded.hub.timezone))
    return min(found, at)


def add_to(app: typer.Typer) -> None:
    app.command("backup")(take_backup)
    app.command()(restore)
