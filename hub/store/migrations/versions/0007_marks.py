"""The first tables: what hangs on messages, and events."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "message_ref",
        sa.Column("ref", sa.String(length=500), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_message_ref_case_id"),
        sa.PrimaryKeyConstraint("ref", "case_id", name="pk_message_ref"),
    )
    op.create_table(
        "message_order",
        sa.Column("number", sa.String(length=80), nullable=False),
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("proof", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_message_order_message_id"),
        sa.PrimaryKeyConstraint("number", "message_id", name="pk_message_order"),
    )
    op.create_index("ix_message_order_message_id", "message_order", ["message_id"], unique=False)
    op.create_table(
        "attachment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("inline", sa.Boolean(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_attachment_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attachment"),
    )
    op.create_index("ix_attachment_message_id", "attachment", ["message_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("raw_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("event_key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.String(length=3), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name="fk_event_agent_id"),
        sa.ForeignKeyConstraint(["identity_id"], ["identity.id"], name="fk_event_identity_id"),
        sa.ForeignKeyConstraint(["raw_id"], ["raw.id"], name="fk_event_raw_id"),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.UniqueConstraint("instance", "event_key", name="uq_event_instance_event_key"),
    )
    op.create_index("ix_event_identity_id_at", "event", ["identity_id", "at", "id"], unique=False)
    op.create_index("ix_event_raw_id", "event", ["raw_id"], unique=False)


def downgrade() -> None:
    op.drop_table("event")
    op.drop_table("attachment")
    op.drop_table("message_order")
    op.drop_table("message_ref")
