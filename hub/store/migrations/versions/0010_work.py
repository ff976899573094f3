"""Work that starves nobody: late facts are counted apart from failures, and the indexes that go with it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("step", sa.Column("late", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_delivery_instance_state_due_at", "delivery", ["instance", "state", "due_at", "id"], unique=False
    )
    op.create_index("ix_delivery_message_id", "delivery", ["message_id"], unique=False)
    op.drop_index("ix_message_raw_id", "message")
    op.create_index(
        "ix_message_raw_id",
        "message",
        ["raw_id"],
        unique=False,
        sqlite_where=sa.text("raw_id IS NOT NULL"),
        postgresql_where=sa.text("raw_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_message_raw_id", "message")
    op.create_index("ix_message_raw_id", "message", ["raw_id"], unique=False)
    op.drop_index("ix_delivery_message_id", "delivery")
    op.drop_index("ix_delivery_instance_state_due_at", "delivery")
    op.drop_column("step", "late")
