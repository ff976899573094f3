"""Rows of the knowledge base: approved answers, their wordings and the questions they are known for."""

import sqlalchemy as sa

from hub.store.base import At, id_column, metadata, ref

answer = sa.Table(
    "answer",
    metadata,
    id_column(),
    sa.Column("ref", sa.String(80), nullable=False, unique=True),  # the importer's or editor's own name
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),  # approved | retired
    sa.Column("created_at", At, nullable=False),
    sa.Column("changed_at", At, nullable=False),
)

variant = sa.Table(
    "variant",
    metadata,
    id_column(),
    ref("answer", index=True),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("title", sa.Text, nullable=False),  # the question in this language
    sa.Column("text", sa.Text, nullable=False),
    sa.UniqueConstraint("answer_id", "language"),
)

phrasing = sa.Table(
    "phrasing",
    metadata,
    id_column(),
    ref("answer", index=True),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.UniqueConstraint("answer_id", "text"),
)
