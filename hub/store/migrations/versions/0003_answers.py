"""The first tables: the knowledge base."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ref", sa.String(length=80), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_answer"),
        sa.UniqueConstraint("ref", name="uq_answer_ref"),
    )
    op.create_table(
        "variant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answer.id"], name="fk_variant_answer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_variant"),
        sa.UniqueConstraint("answer_id", "language", name="uq_variant_answer_id_language"),
    )
    op.create_index("ix_variant_answer_id", "variant", ["answer_id"], unique=False)
    op.create_table(
        "phrasing",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answer.id"], name="fk_phrasing_answer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_phrasing"),
        sa.UniqueConstraint("answer_id", "text", name="uq_phrasing_answer_id_text"),
    )
    op.create_index("ix_phrasing_answer_id", "phrasing", ["answer_id"], unique=False)


def downgrade() -> None:
    op.drop_table("phrasing")
    op.drop_table("variant")
    op.drop_table("answer")
