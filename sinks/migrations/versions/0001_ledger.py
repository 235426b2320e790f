"""Lay the ledger: inputs, events, cases, clocks, outbox and progress.

Revision: 0001
Follows: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, *, optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=optional)


def _number(name: str, *, optional: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=optional)


def _offset(name: str, *, optional: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=optional)


def _time(name: str, *, optional: bool = False) -> sa.Column[str]:
    """UTC as `2026-11-23T01:02:03.000004Z`."""
    return sa.Column(name, sa.String(27), nullable=optional)


def _json(name: str, *, optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=optional)


def upgrade() -> None:
    op.create_table(
        "input",
        _text("topic"),
        _number("partition"),
        _offset("offset"),
        _text("origin_topic", optional=True),
        _number("origin_partition", optional=True),
        _offset("origin_offset", optional=True),
        _text("input_id"),
        _text("case_id", optional=True),
        _text("kind"),
        _text("actor"),
        _text("disposition"),
        _text("code", optional=True),
        _text("digest", optional=True),
        _time("decided_at"),
        sa.PrimaryKeyConstraint("topic", "partition", "offset"),
    )
    has_origin = sa.text("origin_topic IS NOT NULL")
    op.create_index(
        "input_origin",
        "input",
        ["origin_topic", "origin_partition", "origin_offset"],
        unique=True,
        sqlite_where=has_origin,
        postgresql_where=has_origin,
    )
    op.create_index("input_id_known", "input", ["input_id"])
    op.create_index("input_case", "input", ["case_id"])
    op.create_table(
        "event",
        _text("case_id"),
        _number("seq"),
        _text("kind"),
        _text("actor"),
        _time("at"),
        _text("input_id"),
        _json("data"),
        sa.PrimaryKeyConstraint("case_id", "seq"),
    )
    op.create_table(
        "case",
        _text("case_id"),
        _number("version"),
        _text("state"),
        _text("receipt"),
        _text("channel", optional=True),
        _text("custodian", optional=True),
        _text("lead", optional=True),
        _text("category", optional=True),
        _text("kind", optional=True),
        _text("tier", optional=True),
        _text("street", optional=True),
        _time("registered_at", optional=True),
        _time("first_dispatched_at", optional=True),
        _time("due_at", optional=True),
        _time("ended_at", optional=True),
        sa.Column("escalated", sa.Boolean(), nullable=False),
        _text("exemption", optional=True),
        _json("facts", optional=True),
        _json("life"),
        sa.PrimaryKeyConstraint("case_id"),
    )
    op.create_index("case_receipt", "case", ["receipt"])
    op.create_index("case_custodian", "case", ["custodian", "state"])
    op.create_index("case_state", "case", ["state", "due_at"])
    op.create_table(
        "clock",
        _text("case_id"),
        _text("clock"),
        _number("generation"),
        _time("due_at"),
        _time("emitted_at", optional=True),
        sa.PrimaryKeyConstraint("case_id", "clock"),
    )
    op.create_index("clock_due", "clock", ["due_at", "emitted_at"])
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), nullable=False),
        _text("message_id"),
        _text("source_topic"),
        _number("source_partition"),
        _text("case_id", optional=True),
        _number("seq"),
        _text("topic"),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        _json("headers"),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("message_id"),
    )
    op.create_table(
        "progress",
        _text("topic"),
        _number("partition"),
        _text("topic_id"),
        _offset("next_offset"),
        sa.PrimaryKeyConstraint("topic", "partition"),
    )


def downgrade() -> None:
    for table in ("progress", "outbox", "clock", "case", "event", "input"):
        op.drop_table(table)
