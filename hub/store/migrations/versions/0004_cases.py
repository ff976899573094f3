"""The first tables: the problems being solved."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("number", sa.String(length=60), nullable=False),
        sa.Column("identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("brand", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proof", sa.String(length=10), nullable=False),
        sa.Column("queue", sa.String(length=80), server_default="", nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("suggested_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("answered_on", sa.String(length=80), server_default="", nullable=False),
        sa.Column("acknowledge_reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["answered_by"], ["agent.id"], name="fk_cases_answered_by"),
        sa.ForeignKeyConstraint(["identity_id"], ["identity.id"], name="fk_cases_identity_id"),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.UniqueConstraint("number", name="uq_cases_number"),
    )
    op.create_index("ix_cases_identity_id", "cases", ["identity_id"], unique=False)
    op.create_table(
        "case_counter",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("year", name="pk_case_counter"),
    )
    op.create_table(
        "case_ref",
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("remote_id", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_case_ref_case_id"),
        sa.PrimaryKeyConstraint("case_id", "instance", name="pk_case_ref"),
        sa.UniqueConstraint("instance", "remote_id", name="uq_case_ref_instance_remote_id"),
    )


def downgrade() -> None:
    op.drop_table("case_ref")
    op.drop_table("case_counter")
    op.drop_table("cases")
