"""Rows of who works with the hub: agents and their accounts, admins' logins, tokens, throttles, the audit log."""

import sqlalchemy as sa

from hub.store.base import At, id_column, metadata, ref

agent = sa.Table(
    "agent",
    metadata,
    id_column(),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("email", sa.String(320), nullable=True, unique=True),
    sa.Column("created_at", At, nullable=False),
)

account = sa.Table(
    "account",
    metadata,
    id_column(),
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("remote_id", sa.String(200), nullable=False),
    ref("agent", index=True),
    sa.UniqueConstraint("instance", "remote_id"),
)
"""A person's login in one tool; belongs to one agent."""

login = sa.Table(
    "login",
    metadata,
    id_column(),
    sa.Column("name", sa.String(80), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(200), nullable=False),
    sa.Column("role", sa.String(10), nullable=False),  # admin | editor
    sa.Column("language", sa.String(8), nullable=False, server_default=""),
    sa.Column("session_epoch", sa.Integer, nullable=False, server_default="0"),  # raised to end all sessions
    sa.Column("created_at", At, nullable=False),
)

token = sa.Table(
    "token",
    metadata,
    id_column(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),  # SHA-256 of 256 random bits needs no salt
    sa.Column("scopes", sa.String(200), nullable=False),
    sa.Column("created_at", At, nullable=False),
    sa.Column("used_at", At, nullable=True),
    sa.Column("revoked_at", At, nullable=True),
)

throttle = sa.Table(
    "throttle",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("window_at", At, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)
"""Counts of log-ins, form entries and acknowledgements per key and window."""

audit = sa.Table(
    "audit",
    metadata,
    id_column(),
    sa.Column("at", At, nullable=False),
    sa.Column("by", sa.String(80), nullable=False),
    sa.Column("act", sa.String(80), nullable=False),
    sa.Column("target", sa.String(200), nullable=False, server_default=""),
)
