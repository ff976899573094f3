"""Rows of the problems being solved, of what is suggested and of what is owed to far sides."""

import sqlalchemy as sa

from hub.store.base import At, Id, id_column, metadata, ref

case = sa.Table(
    "cases",
    metadata,
    id_column(),
    sa.Column("number", sa.String(60), nullable=False, unique=True),
    ref("identity", index=True),
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("brand", sa.String(80), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),  # open | answered | closed
    sa.Column("proof", sa.String(10), nullable=False),
    sa.Column("queue", sa.String(80), nullable=False, server_default=""),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    # Raised with the customer's words. Workers of before decision 12 read it, and may run beside ours in an upgrade.
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("opened_at", At, nullable=False),
    sa.Column("changed_at", At, nullable=False),
    sa.Column("acknowledged_at", At, nullable=True),
    sa.Column("suggested_at", At, nullable=True),
    sa.Column("answered_at", At, nullable=True),
    ref("agent", nullable=True, name="answered_by"),
    sa.Column("answered_on", sa.String(80), nullable=False, server_default=""),
    sa.Column("acknowledge_reason", sa.Text, nullable=False, server_default=""),
)

case_counter = sa.Table(
    "case_counter",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.Integer, nullable=False),
)
"""The last number given in a year; raised in the transaction that opens the case."""

case_ref = sa.Table(
    "case_ref",
    metadata,
    sa.Column("case_id", Id, sa.ForeignKey("cases.id"), primary_key=True, autoincrement=False),
    sa.Column("instance", sa.String(80), primary_key=True),
    sa.Column("remote_id", sa.String(200), nullable=False),
    sa.UniqueConstraint("instance", "remote_id"),
)
"""What a case is called over there (the ticket's number in a desk)."""

suggestion = sa.Table(
    "suggestion",
    metadata,
    id_column(),
    ref("case"),
    ref("message"),
    ref("answer"),
    sa.Column("matcher", sa.String(80), nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("band", sa.String(10), nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("outcome", sa.String(10), nullable=False, server_default=""),
    sa.Column("outcome_at", At, nullable=True),
    sa.Column("similarity", sa.Float, nullable=True),
    sa.Column("made_at", At, nullable=False),
    sa.UniqueConstraint("message_id", "answer_id"),
    sa.Index("ix_suggestion_case_id_message_id", "case_id", "message_id", "rank"),
)

delivery = sa.Table(
    "delivery",
    metadata,
    id_column(),
    sa.Column("key", sa.String(120), nullable=False, unique=True),
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("ability", sa.String(20), nullable=False),
    sa.Column("lane", sa.String(120), nullable=False),
    ref("case", nullable=True, index=True),
    ref("message", nullable=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", At, nullable=False),
    sa.Column("turn_at", At, nullable=False, server_default="0"),  # whose turn it is among what is due (hub/flow.py)
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("result", sa.String(500), nullable=False, server_default=""),
    sa.Column("created_at", At, nullable=False),
    sa.Column("started_at", At, nullable=True),
    sa.Column("done_at", At, nullable=True),
    # Each instance's own turn: a backlog of one must not hide the others.
    sa.Index("ix_delivery_instance_state_due_at", "instance", "state", "due_at", "id"),
    sa.Index("ix_delivery_instance_state_turn_at", "instance", "state", "turn_at", "id"),
    # A withdrawn acknowledgement deletes a message, and SQLite then looks for whoever names it.
    sa.Index("ix_delivery_message_id", "message_id"),
    sa.Index("ix_delivery_state_due_at", "state", "due_at", "id"),
    sa.Index("ix_delivery_lane_state", "lane", "state", "id"),
)
"""One thing owed to a far side; its states are drawn in docs/architecture.md:
waiting, sending, done, rejected, held, unsure, skipped."""
