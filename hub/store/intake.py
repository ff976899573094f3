"""Rows of what came in and what is still to be done with it."""

import sqlalchemy as sa

from hub.store.base import At, Id, id_column, metadata, ref

LONGEST_KEY = 300
"""Characters of a source's own key."""

raw = sa.Table(
    "raw",
    metadata,
    id_column(),
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("source_key", sa.String(LONGEST_KEY), nullable=False),
    sa.Column("received_at", At, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("instance", "source_key"),
    sa.Index("ix_raw_instance_sha256", "instance", "sha256"),
)
"""The bytes as they came. Never updated: the body of a row that changes would be written again."""

step = sa.Table(
    "step",
    metadata,
    sa.Column("raw_id", Id, sa.ForeignKey("raw.id"), primary_key=True, autoincrement=False),
    sa.Column("stage", sa.String(10), nullable=False),  # read | plan
    sa.Column("state", sa.String(10), nullable=False),  # waiting | kept (set aside, "kept unread")
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("case_id", Id, nullable=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", At, nullable=False),
    sa.Column("turn_at", At, nullable=False, server_default="0"),  # whose turn it is among what is due (hub/flow.py)
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("late", sa.Integer, nullable=False, server_default="0"),  # looks since facts were missing
    sa.Column("place", Id, nullable=False, server_default="0"),  # in its case: the number of its first message
    sa.Column("flood", sa.Integer, nullable=False, server_default="0"),  # whose flood it is read behind (hub/flow.py)
    sa.Index("ix_step_state_stage_due_at", "state", "stage", "due_at", "raw_id"),
    sa.Index("ix_step_state_stage_instance", "state", "stage", "instance", "raw_id"),
    sa.Index("ix_step_state_stage_instance_flood", "state", "stage", "instance", "flood", "raw_id"),
    # PostgreSQL's lanes ask by case (hub/store/lanes.py).
    sa.Index("ix_step_case_id", "case_id"),
)
"""What the hub still has to do with a raw; the row goes when nothing is left to do."""

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("instance", sa.String(80), primary_key=True),
    sa.Column("source", sa.String(20), primary_key=True),  # poll | changes
    sa.Column("value", sa.JSON, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),  # raised with each new owner
    sa.Column("moved_at", At, nullable=False),
    sa.Column("owner", sa.String(80), nullable=False, server_default=""),  # the process that reads the source
    sa.Column("until", At, nullable=True),  # the end of its lease
)
"""How far each source was read, and by whom. Moves in the transaction that stores the raws."""

message = sa.Table(
    "message",
    metadata,
    id_column(),
    ref("raw", nullable=True),  # null: the hub itself wrote it (an acknowledgement)
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("direction", sa.String(3), nullable=False),
    ref("identity"),  # the customer's side
    ref("case", nullable=True),
    ref("agent", nullable=True),
    sa.Column("at", At, nullable=False),  # when it was said, as far as we know
    sa.Column("received_at", At, nullable=False),
    sa.Column("sender", sa.String(320), nullable=False, server_default=""),
    sa.Column("sender_name", sa.String(200), nullable=False, server_default=""),
    sa.Column("subject", sa.Text, nullable=False, server_default=""),
    sa.Column("language", sa.String(8), nullable=False, server_default=""),
    sa.Column("proof", sa.String(10), nullable=False),
    sa.Column("proof_reason", sa.Text, nullable=False, server_default=""),
    sa.Column("automatic", sa.Text, nullable=False, server_default=""),
    sa.Column("may_acknowledge", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("acknowledge_reason", sa.Text, nullable=False, server_default=""),
    sa.Column("message_id", sa.Text, nullable=False, server_default=""),
    sa.Column("content_key", sa.String(64), nullable=True),
    sa.Column("remote_id", sa.String(200), nullable=False, server_default=""),
    sa.Column("state", sa.String(10), nullable=False, server_default="ok"),  # ok | unread | queued | sent | unsure
    sa.Column("facts", sa.JSON, nullable=False),
    sa.UniqueConstraint("content_key"),
    # Without our own mails, which have no raw: else SQLite reads all of them to find one by its Message-ID.
    sa.Index(
        "ix_message_raw_id",
        "raw_id",
        sqlite_where=sa.text("raw_id IS NOT NULL"),
        postgresql_where=sa.text("raw_id IS NOT NULL"),
    ),
    # Our own mails alone: asked of every page that comes in, so it must stay small.
    sa.Index(
        "ix_message_sent",
        "message_id",
        sqlite_where=sa.text("raw_id IS NULL"),
        postgresql_where=sa.text("raw_id IS NULL"),
    ),
    sa.Index("ix_message_identity_id_at", "identity_id", "at", "id"),
    sa.Index("ix_message_case_id_at", "case_id", "at", "id"),
)
"""One thing said. Its words are in `message_body`, so that this row stays narrow."""

message_body = sa.Table(
    "message_body",
    metadata,
    sa.Column("message_id", Id, sa.ForeignKey("message.id"), primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("html", sa.Text, nullable=False, server_default=""),
    sa.Column("reply", sa.Text, nullable=False, server_default=""),
    sa.Column("signature", sa.Text, nullable=False, server_default=""),
)

message_copy = sa.Table(
    "message_copy",
    metadata,
    sa.Column("raw_id", Id, sa.ForeignKey("raw.id"), primary_key=True, autoincrement=False),
    ref("message", index=True),
    sa.Column("instance", sa.String(80), nullable=False),
)
"""Where else the same message came in (To one mailbox, Cc another)."""

message_ref = sa.Table(
    "message_ref",
    metadata,
    sa.Column("ref", sa.String(500), primary_key=True),
    sa.Column("case_id", Id, sa.ForeignKey("cases.id"), primary_key=True, autoincrement=False),
    sa.Column("own", sa.Boolean, nullable=False),
)
"""Message-IDs and the case they belong to: a case's own and the ancestors its mails named."""

message_order = sa.Table(
    "message_order",
    metadata,
    sa.Column("number", sa.String(80), primary_key=True),
    sa.Column("message_id", Id, sa.ForeignKey("message.id"), primary_key=True, autoincrement=False),
    sa.Column("proof", sa.String(10), nullable=False),
    sa.Index("ix_message_order_message_id", "message_id"),
)

attachment = sa.Table(
    "attachment",
    metadata,
    id_column(),
    ref("message", index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("content_type", sa.String(200), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("inline", sa.Boolean, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),
)
"""What an attachment is; its bytes stay in the raw and are cut out when somebody asks."""

event = sa.Table(
    "event",
    metadata,
    id_column(),
    ref("raw", nullable=True),
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("event_key", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    ref("identity"),
    ref("agent", nullable=True),
    sa.Column("at", At, nullable=False),
    sa.Column("direction", sa.String(3), nullable=False),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("data", sa.JSON, nullable=False),
    sa.UniqueConstraint("instance", "event_key"),
    sa.Index("ix_event_raw_id", "raw_id"),
    sa.Index("ix_event_identity_id_at", "identity_id", "at", "id"),
)
"""Something that happened: a call, an order's state, a note."""
