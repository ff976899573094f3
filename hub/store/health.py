"""Rows of how the instances are: health, circuit, their own state, alerts."""

import sqlalchemy as sa

from hub.store.base import At, id_column, metadata, ref

instance_health = sa.Table(
    "instance_health",
    metadata,
    sa.Column("instance", sa.String(80), primary_key=True),
    sa.Column("health", sa.String(10), nullable=False),  # green | amber | red
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("since", At, nullable=False),
    sa.Column("seen_at", At, nullable=True),  # last success
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("retry_at", At, nullable=True),
    sa.Column("voice", sa.Text, nullable=True),  # what speaks there besides us; empty: nothing; null: not known
)

state = sa.Table(
    "state",
    metadata,
    sa.Column("instance", sa.String(80), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
"""`context.state`, encrypted with the hub's key (hub/store/secrets.py)."""

alert = sa.Table(
    "alert",
    metadata,
    id_column(),
    sa.Column("key", sa.String(200), nullable=False),
    sa.Column("instance", sa.String(80), nullable=False, server_default=""),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("opened_at", At, nullable=False),
    sa.Column("closed_at", At, nullable=True),
    sa.Index("ix_alert_key_closed_at", "key", "closed_at"),
)
"""One open alert per cause; closed when the cause is gone."""

telling = sa.Table(
    "telling",
    metadata,
    id_column(),
    ref("alert"),
    sa.Column("target", sa.String(10), nullable=False),  # webhook | mail
    sa.Column("what", sa.String(10), nullable=False),  # opened | closed
    sa.Column("state", sa.String(10), nullable=False),  # waiting | done | over (its end was owed too) | gave up
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", At, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("told_at", At, nullable=True),
    sa.UniqueConstraint("alert_id", "target", "what"),
    sa.Index("ix_telling_state_due_at", "state", "due_at"),
)
"""An alert that is told to somebody outside ([alerts]): once when it opens, once when it closes."""

note = sa.Table(
    "note",
    metadata,
    sa.Column("key", sa.String(80), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""Small facts of the hub itself: which answer file was imported, the answers' revision."""
