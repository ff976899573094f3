"""Others are read before a flood: a step says whose flood it belongs to, and an index finds those of none."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEX = "ix_step_state_stage_instance_flood"


def upgrade() -> None:
    op.add_column("step", sa.Column("flood", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(INDEX, "step", ["state", "stage", "instance", "flood", "raw_id"], unique=False)


def downgrade() -> None:
    op.drop_index(INDEX, "step")
    op.drop_column("step", "flood")
