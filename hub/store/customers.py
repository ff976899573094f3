"""Rows of who writes to us, and of what CRMs and shops know of them."""

import sqlalchemy as sa

from hub.store.base import At, id_column, metadata, ref

customer = sa.Table(
    "customer",
    metadata,
    id_column(),
    sa.Column("name", sa.String(200), nullable=False, server_default=""),
    sa.Column("segment", sa.String(80), nullable=False, server_default=""),
    sa.Column("language", sa.String(8), nullable=False, server_default=""),
    sa.Column("created_at", At, nullable=False),
)
"""A set of identities; history hangs on the identities, so a customer can be parted again."""

identity = sa.Table(
    "identity",
    metadata,
    id_column(),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("value", sa.String(320), nullable=False),
    sa.Column("name", sa.String(200), nullable=False, server_default=""),
    ref("customer", index=True),
    ref("customer", name="origin_id"),  # the customer it had at first: a parting goes back to it
    sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("undeliverable", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("kind", "value"),
)
"""One address of a customer, in its canonical form (hub/rules/identities.py)."""

link = sa.Table(
    "link",
    metadata,
    id_column(),
    ref("identity", name="identity_id"),
    ref("identity", name="other_id"),
    sa.Column("kind", sa.String(10), nullable=False),  # join | part
    sa.Column("strength", sa.String(10), nullable=False),  # verified | claimed
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("by", sa.String(80), nullable=False),  # an instance or an agent
    sa.Column("at", At, nullable=False),
    sa.UniqueConstraint("identity_id", "other_id", "kind", "strength", "by"),
)
"""Why identities belong together, or do not. Append-only."""

profile = sa.Table(
    "profile",
    metadata,
    id_column(),
    sa.Column("instance", sa.String(80), nullable=False),
    ref("identity", index=True),
    sa.Column("remote_id", sa.String(200), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("segment", sa.String(80), nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("url", sa.Text, nullable=False, server_default=""),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("fetched_at", At, nullable=False),
    sa.UniqueConstraint("instance", "identity_id", "remote_id"),
)
"""What a CRM said about an identity, and when: a cache, asked anew after a while."""

order = sa.Table(
    "orders",
    metadata,
    id_column(),
    sa.Column("number", sa.String(80), nullable=False),
    sa.Column("instance", sa.String(80), nullable=False),
    sa.Column("state", sa.String(80), nullable=False),
    sa.Column("owners", sa.JSON, nullable=False),  # [[kind, value], ...]
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("url", sa.Text, nullable=False, server_default=""),
    sa.Column("placed_at", At, nullable=True),
    sa.Column("fetched_at", At, nullable=False),
    sa.UniqueConstraint("number", "instance"),
)
"""What a shop said about an order number."""
