"""The first tables: what came in and what is still to be done."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "raw",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("source_key", sa.String(length=300), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_raw"),
        sa.UniqueConstraint("instance", "source_key", name="uq_raw_instance_source_key"),
    )
    op.create_index("ix_raw_instance_sha256", "raw", ["instance", "sha256"], unique=False)
    op.create_table(
        "step",
        sa.Column("raw_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["raw_id"], ["raw.id"], name="fk_step_raw_id"),
        sa.PrimaryKeyConstraint("raw_id", name="pk_step"),
    )
    op.create_index("ix_step_state_stage_due_at", "step", ["state", "stage", "due_at", "raw_id"], unique=False)
    op.create_table(
        "cursor",
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "source", name="pk_cursor"),
    )


def downgrade() -> None:
    op.drop_table("cursor")
    op.drop_table("step")
    op.drop_table("raw")
