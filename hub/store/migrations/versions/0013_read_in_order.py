"""What came in is read in the order in which it came, so the index that serves it is by number, not by turn."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_step_state_stage_instance", "step", ["state", "stage", "instance", "raw_id"], unique=False)
    op.drop_index("ix_step_state_stage_instance_turn_at", "step")


def downgrade() -> None:
    op.create_index(
        "ix_step_state_stage_instance_turn_at",
        "step",
        ["state", "stage", "instance", "turn_at", "raw_id"],
        unique=False,
    )
    op.drop_index("ix_step_state_stage_instance", "step")
