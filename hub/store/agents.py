"""Agents and their accounts: who somebody is in each tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.sdk.errors import ConfigError
from hub.store.people import account, agent


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent; `accounts` are the logins, ``instance:login``."""

    id: int
    name: str
    email: str | None
    accounts: tuple[str, ...]


def add_agent(connection: Connection, name: str, email: str, accounts: Mapping[str, str], now: datetime) -> int:
    """Add an agent, or give the one with this e-mail address a new name and more accounts. Returns the id.

    Raises ConfigError for an account that belongs to somebody else: moving it would rewrite who said what.
    """
    address = email.strip().lower() or None
    number = connection.scalar(sa.select(agent.c.id).where(agent.c.email == address)) if address else None
    if number is None:
        values = {"name": name, "email": address, "created_at": now}
        number = connection.scalar(sa.insert(agent).values(**values).returning(agent.c.id))
    else:
        connection.execute(sa.update(agent).where(agent.c.id == number).values(name=name))
    for instance, login in accounts.items():
        _claim(connection, int(number or 0), instance, login)
    return int(number or 0)


def _claim(connection: Connection, number: int, instance: str, login: str) -> None:
    mine = sa.and_(account.c.instance == instance, account.c.remote_id == login)
    owner = connection.scalar(sa.select(account.c.agent_id).where(mine))
    if owner is None:
        connection.execute(sa.insert(account).values(instance=instance, remote_id=login, agent_id=number))
    elif owner != number:
        whose = connection.scalar(sa.select(agent.c.name).where(agent.c.id == owner))
        raise ConfigError(f"the account {instance}:{login} belongs to {whose}")


def agents(connection: Connection) -> list[AgentRow]:
    """Every agent, by name."""
    accounts: dict[int, list[str]] = {}
    for row in connection.execute(sa.select(account).order_by(account.c.instance, account.c.remote_id)):
        accounts.setdefault(row.agent_id, []).append(f"{row.instance}:{row.remote_id}")
    rows = connection.execute(sa.select(agent).order_by(agent.c.name, agent.c.id))
    return [AgentRow(r.id, r.name, r.email, tuple(accounts.get(r.id, ()))) for r in rows]
