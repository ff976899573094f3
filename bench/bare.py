"""The floor of `bench.webhook`: a bare Flask endpoint that verifies, inserts with group commit, and says 202.

    python -m bench.bare --port 8090 --threads 32 --database /tmp/bare.db

It does what a webhook receiver can do no less of, with the same server and threads as the hub, and
knows nothing else: one table, one writer thread, `synchronous=FULL`. `/nothing` answers without any
work, so that the load itself can be measured.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import logging
import queue
import sqlite3
import threading
from pathlib import Path

import waitress
from flask import Flask, Response, request

from bench.load import SECRET


class Writer:
    """One thread that keeps whatever waits in one transaction, then lets go of all who wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: queue.SimpleQueue[tuple[str, bytes, threading.Event]] = queue.SimpleQueue()
        threading.Thread(target=self.run, daemon=True).start()

    def keep(self, key: str, body: bytes) -> None:
        kept = threading.Event()
        self.waiting.put((key, body, kept))
        kept.wait()

    def run(self) -> None:
        store = sqlite3.connect(self.path, isolation_level=None)
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("PRAGMA synchronous=FULL")
        store.execute("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, source_key UNIQUE, data BLOB)")
        while True:
            batch = [self.waiting.get()]
            while not self.waiting.empty():
                batch.append(self.waiting.get())
            store.execute("BEGIN IMMEDIATE")
            rows = [(key, body) for key, body, _ in batch]
            store.executemany("INSERT OR IGNORE INTO raw (source_key, data) VALUES (?, ?)", rows)
            store.execute("COMMIT")
            for _, _, kept in batch:
                kept.set()


def create_app(database: Path) -> Flask:
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
    arguments.add_argument("--database", type=Path, required=True)
    options = arguments.parse_args()
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for each request that waits
    waitress.serve(create_app(options.database), host="127.0.0.1", port=options.port, threads=options.threads)


if __name__ == "__main__":
    main()
