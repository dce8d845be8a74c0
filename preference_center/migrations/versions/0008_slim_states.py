"""consent: states in half the room. Words become numbers, what only few rows have moves out, and the record says when.

Both tables are made anew and filled by one statement: altering a dozen columns would write every row as often.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic import op
from preference_center.db import BigId, UTCDateTime

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_STATES = {
    "open": 0,
    "given": 1,
    "requested": 2,
    "refused": 3,
    "withdrawn": 4,
    "objected": 5,
    "expired": 6,
    "invalidated": 7,
}
_CADENCES = {"each": 0, "weekly": 1, "monthly": 2}
_BASES = {
    "double_opt_in": 0,
    "consent": 1,
    "existing_customer": 2,
    "contract": 3,
    "legal_obligation": 4,
    "vital_interest": 5,
    "public_task": 6,
    "legitimate_interest": 7,
}
_BEFORE = "_before"


def upgrade() -> None:
    _put_aside()
    _slim_tables()
    state, basis, cadence = _numbers("state", _STATES), _numbers("legal_basis", _BASES), _numbers("cadence", _CADENCES)
    _copy(
        "subscriptions",
        "contact_id, topic_id, state, legal_basis, record_id, until, cadence, by_guardian",
        f"contact_id, topic_id, {state}, {basis}, record_id, until, {cadence}, by_guardian",
        "ORDER BY contact_id, topic_id",
    )
    _copy(
        "standings",
        "contact_id, purpose_key, state, record_id, paused_until",
        f"contact_id, purpose_key, {state}, record_id, paused_until",
    )
    op.execute(
        "INSERT INTO last_mails (contact_id, topic_id, occasion, at)"
        " SELECT contact_id, topic_id, coalesce(last_mailed_for, 0), last_mailed_at FROM subscriptions_before"
        " WHERE last_mailed_at IS NOT NULL"
    )
    op.execute(
        "INSERT INTO renewal_letters (contact_id, topic_id, until)"
        " SELECT contact_id, topic_id, renewal_asked_for FROM subscriptions_before WHERE renewal_asked_for IS NOT NULL"
    )
    _drop_what_was()


def downgrade() -> None:
    _put_aside()
    _wide_tables()
    state, basis, cadence = _words("s.state", _STATES), _words("s.legal_basis", _BASES), _words("s.cadence", _CADENCES)
    began = "0" if op.get_bind().dialect.name == "sqlite" else "'1970-01-01Z'::timestamptz"
    recorded = f"coalesce(r.recorded_at, {began})"
    of_record = "AS s LEFT JOIN consent_records r ON r.id = s.record_id"
    own = "contact_id = s.contact_id AND topic_id = s.topic_id"
    _copy(
        "subscriptions",
        "contact_id, topic_id, state, legal_basis, record_id, until, cadence, by_guardian, changed_at,"
        " last_mailed_at, last_mailed_for, renewal_asked_for",
        f"s.contact_id, s.topic_id, {state}, {basis}, s.record_id, s.until, {cadence}, s.by_guardian, {recorded},"
        f" (SELECT at FROM last_mails WHERE {own}), (SELECT occasion FROM last_mails WHERE {own}),"
        f" (SELECT until FROM renewal_letters WHERE {own})",
        f"{of_record} ORDER BY s.contact_id, s.topic_id",
    )
    _copy(
        "standings",
        "contact_id, purpose_key, state, record_id, paused_until, changed_at",
        f"s.contact_id, s.purpose_key, {state}, s.record_id, s.paused_until, {recorded}",
        of_record,
    )
    _drop_what_was()
    op.drop_table("last_mails")
    op.drop_table("renewal_letters")


def _put_aside() -> None:
    """The old tables step aside with their rows; the names of their keys and indexes become free."""
    op.drop_index("ix_subscriptions_topic_id", "subscriptions")
    op.drop_index("ix_subscriptions_until", "subscriptions")
    for table in ("subscriptions", "standings"):
        op.rename_table(table, f"{table}{_BEFORE}")
        if op.get_bind().dialect.name == "postgresql":
            op.drop_constraint(f"pk_{table}", f"{table}{_BEFORE}")


def _drop_what_was() -> None:
    for table in ("subscriptions", "standings"):
        op.drop_table(f"{table}{_BEFORE}")
    op.create_index("ix_subscriptions_topic_id", "subscriptions", ["topic_id", "state"])
    there = sa.text("until IS NOT NULL")
    op.create_index("ix_subscriptions_until", "subscriptions", ["until"], sqlite_where=there, postgresql_where=there)


def _copy(table: str, columns: str, values: str, rest: str = "") -> None:
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table}{_BEFORE} {rest}")  # noqa: S608 (our own names)


def _numbers(column: str, numbers: Mapping[str, int]) -> str:
    cases = (f"WHEN '{word}' THEN {number}" for word, number in numbers.items())
    return f"CASE {column} {' '.join(cases)} END"


def _words(column: str, numbers: Mapping[str, int]) -> str:
    cases = (f"WHEN {number} THEN '{word}'" for word, number in numbers.items())
    return f"CASE {column} {' '.join(cases)} END"


def _slim_tables() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("legal_basis", sa.SmallInteger(), nullable=True),
        sa.Column("record_id", BigId, nullable=False),
        sa.Column("until", UTCDateTime(), nullable=True),
        sa.Column("cadence", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("by_guardian", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "topic_id", name=op.f("pk_subscriptions")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "standings",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("purpose_key", sa.String(length=20), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("record_id", BigId, nullable=False),
        sa.Column("paused_until", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("contact_id", "purpose_key", name=op.f("pk_standings")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "last_mails",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("occasion", BigId, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "topic_id", name=op.f("pk_last_mails")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "renewal_letters",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "topic_id", name=op.f("pk_renewal_letters")),
        sqlite_with_rowid=False,
    )


def _wide_tables() -> None:
    """As 0001 and 0003 made them."""
    op.create_table(
        "subscriptions",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("record_id", BigId, nullable=False),
        sa.Column("until", UTCDateTime(), nullable=True),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.Column("cadence", sa.String(length=8), server_default="each", nullable=False),
        sa.Column("last_mailed_at", UTCDateTime(), nullable=True),
        sa.Column("last_mailed_for", BigId, nullable=True),
        sa.Column("legal_basis", sa.String(length=20), nullable=True),
        sa.Column("by_guardian", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("renewal_asked_for", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("contact_id", "topic_id", name=op.f("pk_subscriptions")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "standings",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("purpose_key", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("record_id", BigId, nullable=False),
        sa.Column("paused_until", UTCDateTime(), nullable=True),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "purpose_key", name=op.f("pk_standings")),
        sqlite_with_rowid=False,
    )
