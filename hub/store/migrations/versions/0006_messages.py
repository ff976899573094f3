"""The first tables: what was said."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("raw_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("direction", sa.String(length=3), nullable=False),
        sa.Column("identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("agent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.String(length=320), server_default="", nullable=False),
        sa.Column("sender_name", sa.String(length=200), server_default="", nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.String(length=8), server_default="", nullable=False),
        sa.Column("proof", sa.String(length=10), nullable=False),
        sa.Column("proof_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("automatic", sa.Text(), server_default="", nullable=False),
        sa.Column("may_acknowledge", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("acknowledge_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("content_key", sa.String(length=64), nullable=True),
        sa.Column("remote_id", sa.String(length=200), server_default="", nullable=False),
        sa.Column("state", sa.String(length=10), server_default="ok", nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name="fk_message_agent_id"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_message_case_id"),
        sa.ForeignKeyConstraint(["identity_id"], ["identity.id"], name="fk_message_identity_id"),
        sa.ForeignKeyConstraint(["raw_id"], ["raw.id"], name="fk_message_raw_id"),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("content_key", name="uq_message_content_key"),
    )
    op.create_index("ix_message_case_id_at", "message", ["case_id", "at", "id"], unique=False)
    op.create_index("ix_message_identity_id_at", "message", ["identity_id", "at", "id"], unique=False)
    op.create_index("ix_message_raw_id", "message", ["raw_id"], unique=False)
    op.create_index(
        "ix_message_sent",
        "message",
        ["message_id"],
        unique=False,
        sqlite_where=sa.text("raw_id IS NULL"),
        postgresql_where=sa.text("raw_id IS NULL"),
    )
    op.create_table(
        "message_body",
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), server_default="", nullable=False),
        sa.Column("reply", sa.Text(), server_default="", nullable=False),
        sa.Column("signature", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_message_body_message_id"),
        sa.PrimaryKeyConstraint("message_id", name="pk_message_body"),
    )
    op.create_table(
        "message_copy",
        sa.Column("raw_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_message_copy_message_id"),
        sa.ForeignKeyConstraint(["raw_id"], ["raw.id"], name="fk_message_copy_raw_id"),
        sa.PrimaryKeyConstraint("raw_id", name="pk_message_copy"),
    )
    op.create_index("ix_message_copy_message_id", "message_copy", ["message_id"], unique=False)


def downgrade() -> None:
    op.drop_table("message_copy")
    op.drop_table("message_body")
    op.drop_table("message")
