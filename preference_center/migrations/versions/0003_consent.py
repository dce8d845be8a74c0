"""consent: validity, bases and rule sets, tracking."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from preference_center.db import UTCDateTime

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# On which basis each subscription stands was so far only in the topic's own records: the last one that says more than how often.
# A stop of the whole purpose has none of its own and leaves it as it was (projection.py).
_BASES = (
    "UPDATE subscriptions SET legal_basis ="
    " (SELECT r.legal_basis FROM consent_records r"
    " WHERE r.contact_id = subscriptions.contact_id AND r.topic_id = subscriptions.topic_id AND r.id <= subscriptions.record_id"
    " AND r.action NOT IN ('each', 'weekly', 'monthly') ORDER BY r.id DESC LIMIT 1)"
)


def upgrade() -> None:
    with op.batch_alter_table("topics", schema=None) as batch_op:
        batch_op.add_column(sa.Column("valid_months", sa.Integer(), nullable=True))
    with op.batch_alter_table("consent_records", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rules", sa.String(length=30), nullable=True))
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("legal_basis", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("by_guardian", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("renewal_asked_for", UTCDateTime(), nullable=True))
        batch_op.create_index(
            "ix_subscriptions_until",
            ["until"],
            unique=False,
            sqlite_where=sa.text("until IS NOT NULL"),
            postgresql_where=sa.text("until IS NOT NULL"),
        )
    op.execute(_BASES)
    with op.batch_alter_table("delivery_runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rule_set", sa.String(length=12), nullable=True))
    with op.batch_alter_table("data_requests", schema=None) as batch_op:
        batch_op.add_column(sa.Column("escalated_at", UTCDateTime(), nullable=True))
    op.create_table(
        "tracked_messages",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracked_messages")),
        sa.UniqueConstraint("message_id", name=op.f("uq_tracked_messages_message_id")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("tracked_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tracked_messages_contact_id"), ["contact_id"], unique=False)


def downgrade() -> None:
    op.drop_table("tracked_messages")
    with op.batch_alter_table("data_requests", schema=None) as batch_op:
        batch_op.drop_column("escalated_at")
    with op.batch_alter_table("delivery_runs", schema=None) as batch_op:
        batch_op.drop_column("rule_set")
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.drop_index("ix_subscriptions_until")
        batch_op.drop_column("renewal_asked_for")
        batch_op.drop_column("by_guardian")
        batch_op.drop_column("legal_basis")
    with op.batch_alter_table("consent_records", schema=None) as batch_op:
        batch_op.drop_column("rules")
    with op.batch_alter_table("topics", schema=None) as batch_op:
        batch_op.drop_column("valid_months")
