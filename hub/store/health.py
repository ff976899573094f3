"""Rows of how the instances are: circuits, pauses, pace, their own state, alerts."""

import sqlalchemy as sa

from hub.store.base import At, id_column, metadata, ref

instance_health = sa.Table(
    "instance_health",
    metadata,
    sa.Column("instance", sa.String(80), primary_key=True),
    sa.Column("side", sa.String(4), primary_key=True),  # in | out | make (it could not be made)
    sa.Column("health", sa.String(10), nullable=False),  # green | amber | red
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("since", At, nullable=False),
    sa.Column("seen_at", At, nullable=True),  # last success
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("retry_at", At, nullable=True),
    sa.Column("probe_until", At, nullable=True),  # somebody tries just now; the others wait
)
"""The circuit of each side of an instance, shared by every process (hub/circuit.py decides)."""

instance = sa.Table(
    "instance",
    metadata,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("paused_at", At, nullable=True),
    sa.Column("paused_by", sa.String(80), nullable=False, server_default=""),
    sa.Column("voice", sa.Text, nullable=True),  # what speaks there besides us; empty: nothing; null: not known
    sa.Column("next_at", At, nullable=True),  # the earliest time of the next call, where calls are counted
    sa.Column("spacing", sa.Integer, nullable=True),  # milliseconds between calls that the far side asked for,
    sa.Column("spacing_until", At, nullable=True),  # and until when
)
"""What is decided about an instance, whoever runs it. A row appears with the first such fact."""

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
    sa.Index(
        "uq_alert_open",
        "key",
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    ),
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
