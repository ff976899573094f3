"""Alerts that are told outside: one row for each alert, way and occasion."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "telling",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("alert_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.String(length=10), nullable=False),
        sa.Column("what", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name="fk_telling_alert_id"),
        sa.PrimaryKeyConstraint("id", name="pk_telling"),
        sa.UniqueConstraint("alert_id", "target", "what", name="uq_telling_alert_id_target_what"),
    )
    op.create_index("ix_telling_state_due_at", "telling", ["state", "due_at"], unique=False)


def downgrade() -> None:
    op.drop_table("telling")
