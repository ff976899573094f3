"""What several processes share: lanes, leases, circuits, pauses, pace; and whose turn it is."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _instances()
    _turns()
    op.create_table(
        "lane",
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("queue", sa.String(length=80), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("behind", sa.Boolean(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_lane"),
    )
    op.create_index("ix_lane_queue_live_due_at", "lane", ["queue", "live", "due_at"], unique=False)
    op.add_column("cursor", sa.Column("owner", sa.String(length=80), server_default="", nullable=False))
    op.add_column("cursor", sa.Column("until", sa.BigInteger(), nullable=True))


def _instances() -> None:
    op.create_table(
        "instance",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_by", sa.String(length=80), server_default="", nullable=False),
        sa.Column("voice", sa.Text(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("spacing", sa.Integer(), nullable=True),
        sa.Column("spacing_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
    )
    op.execute("INSERT INTO instance (id, voice) SELECT instance, voice FROM instance_health WHERE voice IS NOT NULL")
    # How the instances were is found out anew within seconds.
    op.drop_table("instance_health")
    op.create_table(
        "instance_health",
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("health", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("instance", "side", name="pk_instance_health"),
    )
    newest = "SELECT MAX(id) FROM alert WHERE closed_at IS NULL GROUP BY key"
    op.execute(f"UPDATE alert SET closed_at = opened_at WHERE closed_at IS NULL AND id NOT IN ({newest})")
    where = sa.text("closed_at IS NULL")
    op.create_index("uq_alert_open", "alert", ["key"], unique=True, sqlite_where=where, postgresql_where=where)


def _turns() -> None:
    for table in ("step", "delivery"):
        op.add_column(table, sa.Column("turn_at", sa.BigInteger(), server_default="0", nullable=False))
        op.execute(f"UPDATE {table} SET turn_at = due_at")
    op.create_index(
        "ix_step_state_stage_instance_turn_at",
        "step",
        ["state", "stage", "instance", "turn_at", "raw_id"],
        unique=False,
    )
    op.create_index("ix_step_case_id", "step", ["case_id"], unique=False)
    op.create_index(
        "ix_delivery_instance_state_turn_at", "delivery", ["instance", "state", "turn_at", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_instance_state_turn_at", "delivery")
    op.drop_index("ix_step_case_id", "step")
    op.drop_index("ix_step_state_stage_instance_turn_at", "step")
    for table in ("delivery", "step"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("turn_at")
    with op.batch_alter_table("cursor") as batch:
        batch.drop_column("until")
        batch.drop_column("owner")
    op.drop_table("lane")
    op.drop_index("uq_alert_open", "alert")
    with op.batch_alter_table("instance_health") as batch:
        batch.drop_column("probe_until")
        batch.add_column(sa.Column("voice", sa.Text(), nullable=True))
    op.drop_table("instance")
