"""Setting up the invented shop in a directory: configuration, books, answers, an empty Maildir, two agents."""

from __future__ import annotations

import csv
import secrets
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from string import Template

from hub.demo.post import Letter, agents, rows
from hub.store import Store
from hub.store.access import add_login, hash_password
from hub.store.agents import add_agent

PHONES = "standard"
"""The section of the phone system, whose accounts are the agents' extensions."""
SENT = "envoyes"
"""The section that reads the Sent folder, whose accounts are the agents' addresses."""


def set_up(directory: Path, port: int, now: datetime) -> Path:
    """Write everything a hub of the shop needs; returns its configuration. Mail that lies there stays."""
    data = files("hub.demo") / "data"
    for folder in (".", ".Sent", ".Drafts"):
        for name in ("cur", "new", "tmp"):
            (directory / "Maildir" / folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("answers.toml", "customers.csv"):
        (directory / name).write_bytes((data / name).read_bytes())
    _write_orders(directory / "orders.csv", now)
    token = directory / "standard-token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_urlsafe(24))
    config = directory / "hub.toml"
    config.write_text(Template((data / "hub.toml.tmpl").read_text("utf-8")).safe_substitute(port=port), "utf-8")
    return config


def _write_orders(path: Path, now: datetime) -> None:
    """The orders with a day instead of an age, so that the shop never grows old."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("number", "email", "state", "placed_at", "total", "content"))
        for row in rows("orders.csv"):
            day = (now - timedelta(days=int(row["days_ago"]))).date()
            out.writerow((row["number"], row["email"], row["state"], day, row["total"], row["content"]))


def put(directory: Path, letter: Letter) -> None:
    """Deliver a letter as the Maildir way is: whole into tmp, then renamed. An answer goes to Sent, as read."""
    box = directory / "Maildir" / (".Sent" if letter.sent else ".")
    name = f"{int(letter.at.timestamp()) if letter.at else 0}.{letter.id}.maison-lavande"
    if any(box.glob(f"???/*.{letter.id}.maison-lavande*")):
        return  # a second start, perhaps days later
    (box / "tmp" / name).write_bytes(letter.data)
    (box / "tmp" / name).rename(box / ("cur" if letter.sent else "new") / (f"{name}:2,S" if letter.sent else name))


def add_people(store: Store, password: str, now: datetime) -> None:
    """The two agents with their accounts, and the login `demo` with a password for this start."""
    hashed = hash_password(password)
    with store.write() as connection:
        for person in agents().values():
            accounts = {PHONES: person["extension"], SENT: person["email"]}
            add_agent(connection, person["name"], person["email"], accounts, now)
        add_login(connection, "demo", hashed, "admin", now)
