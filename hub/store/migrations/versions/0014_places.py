"""A case is planned in the order of its messages, which is not that of its raws: each step knows its place."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "step",
        sa.Column("place", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, server_default="0"),
    )
    op.execute(
        "UPDATE step SET place = coalesce((SELECT min(id) FROM message WHERE message.raw_id = step.raw_id), 0) "
        "WHERE stage = 'plan'"
    )


def downgrade() -> None:
    op.drop_column("step", "place")
