"""The floor of `bench.webhook`: a bare Flask endpoint that verifies, inserts with group commit, and says 202.

    python -m bench.bare --port 8090 --threads 32 --database /tmp/bare.db
    python -m bench.bare --port 8090 --threads 32 --workers 2 --database postgresql://tresse@127.0.0.1/bare

It does what a webhook receiver can do no less of, with the same server, threads and database as the
hub, and knows nothing else: one table, and in each process one writer thread whose commits wait for
the disk. One process on waitress with SQLite, as `tresse run`; with `--workers`, so many processes on
granian with PostgreSQL, as `tresse web`. `/nothing` answers without any work, so that the load itself
can be measured.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable

import waitress
from flask import Flask, Response, request

from bench.load import SECRET

DATABASE = "BENCH_DATABASE"
"""Tells a process of granian's, which imports the app anew, where its database is."""

Rows = list[tuple[str, bytes]]
Keep = Callable[[Rows], None]


def sqlite(path: str) -> Keep:
    """What commits rows to a file."""
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, source_key UNIQUE, data BLOB)")

    def keep(rows: Rows) -> None:
        store.execute("BEGIN IMMEDIATE")
        store.executemany("INSERT OR IGNORE INTO raw (source_key, data) VALUES (?, ?)", rows)
        store.execute("COMMIT")

    return keep


def postgresql(address: str) -> Keep:
    """What commits rows to PostgreSQL: one statement, one round trip."""
    import psycopg  # comes with an extra

    store = psycopg.connect(address, autocommit=True)
    insert = "INSERT INTO raw (source_key, data) SELECT * FROM unnest(%s::text[], %s::bytea[]) ON CONFLICT DO NOTHING"

    def keep(rows: Rows) -> None:
        keys, bodies = zip(*rows, strict=True)
        store.execute(insert, (list(keys), list(bodies)))

    return keep


def make_table(address: str) -> None:
    """Before several processes look for it."""
    import psycopg

    with psycopg.connect(address) as store:
        store.execute("CREATE TABLE IF NOT EXISTS raw (id bigserial PRIMARY KEY, source_key text UNIQUE, data bytea)")


class Writer:
    """One thread that keeps whatever waits in one transaction, then lets go of all who wait."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.waiting: queue.SimpleQueue[tuple[str, bytes, threading.Event]] = queue.SimpleQueue()
        threading.Thread(target=self.run, daemon=True).start()

    def keep(self, key: str, body: bytes) -> None:
        kept = threading.Event()
        self.waiting.put((key, body, kept))
        kept.wait()

    def run(self) -> None:
        keep = (postgresql if self.database.startswith("postgresql:") else sqlite)(self.database)
        while True:
            batch = [self.waiting.get()]
            while not self.waiting.empty():
                batch.append(self.waiting.get())
            keep([(key, body) for key, body, _ in batch])
            for _, _, kept in batch:
                kept.set()


def app() -> Flask:
    """What each process of granian's serves."""
    return create_app(os.environ[DATABASE])


def create_app(database: str) -> Flask:
    """The endpoint."""
    app, writer = Flask(__name__), Writer(database)

    @app.post("/in/hook")
    def take() -> tuple[str, int]:
        key, body = request.headers.get("Webhook-Id", ""), request.get_data()
        signature = hmac.new(SECRET, key.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, request.headers.get("Webhook-Signature", "")):
            return "", 403
        writer.keep(key, body)
        return "", 202

    def nothing(environ: dict[str, object], start_response: object) -> object:
        """Below Flask: the least a server can be asked for."""
        if environ["PATH_INFO"] == "/nothing":
            return Response("")(environ, start_response)  # type: ignore[arg-type]
        return below(environ, start_response)  # type: ignore[arg-type]

    below = app.wsgi_app
    app.wsgi_app = nothing  # type: ignore[method-assign, assignment]
    return app


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--threads", type=int, default=32)
    arguments.add_argument("--workers", type=int, default=0, help="processes of granian's; 0: waitress in this one")
    arguments.add_argument("--database", required=True, help="a file, or an address that begins with postgresql:")
    options = arguments.parse_args()
    if not options.workers:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for each request that waits
        waitress.serve(create_app(options.database), host="127.0.0.1", port=options.port, threads=options.threads)
        return
    from hub.daemon import serve_in_processes  # the very options of `tresse web`

    make_table(options.database)
    os.environ[DATABASE] = options.database
    serve_in_processes("bench.bare:app", "127.0.0.1", options.port, options.threads, options.workers)


if __name__ == "__main__":
    main()
