"""what providers report: the inbox, events."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from preference_center.db import UTCDateTime

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SILENCING = sa.text("kind IN ('bounced', 'complained', 'unsubscribed')")
_OPEN = sa.text("state IN ('new', 'failed')")


def upgrade() -> None:
    op.create_table(
        "delivery_events",
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("bounce_class", sa.String(length=5), nullable=True),
        sa.Column("scope_all", sa.Boolean(), nullable=False),
        sa.Column("machine", sa.String(length=16), nullable=True),
        sa.Column("message_id", _BIG, nullable=True),
        sa.Column("contact_id", _BIG, nullable=True),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=True),
        sa.Column("matched_by", sa.String(length=12), nullable=True),
        sa.Column("effect", sa.String(length=10), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("looks", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("link", sa.LargeBinary(length=16), nullable=True),
        sa.Column("provider_message_id", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=True),
        sa.Column("detail", sa.String(length=500), nullable=True),
        sa.Column("occurred_at", UTCDateTime(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("post_id", _BIG, nullable=True),
        sa.Column("id", _BIG, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_events")),
        sa.UniqueConstraint("public_id", name=op.f("uq_delivery_events_public_id")),
        sa.UniqueConstraint("source", "key", name=op.f("uq_delivery_events_source_key")),
    )
    with op.batch_alter_table("delivery_events", schema=None) as batch_op:
        for columns in (["message_id"], ["contact_id"], ["address_hash"], ["received_at"]):
            batch_op.create_index(f"ix_delivery_events_{columns[0]}", columns, unique=False)
        for name, columns, rows in (
            ("due_at", ["due_at"], sa.text("due_at IS NOT NULL")),
            ("provider_message_id", ["source", "provider_message_id"], sa.text("provider_message_id IS NOT NULL")),
            ("silencing", ["source", "received_at"], _SILENCING),
        ):
            batch_op.create_index(
                f"ix_delivery_events_{name}", columns, unique=False, sqlite_where=rows, postgresql_where=rows
            )
    op.create_table(
        "inbound_posts",
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("once", sa.LargeBinary(length=16), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_try_at", UTCDateTime(), nullable=True),
        sa.Column("trouble", sa.String(length=200), nullable=True),
        sa.Column("events", sa.Integer(), server_default="0", nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("processed_at", UTCDateTime(), nullable=True),
        sa.Column("id", _BIG, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_posts")),
        sa.UniqueConstraint("public_id", name=op.f("uq_inbound_posts_public_id")),
        sa.UniqueConstraint("provider", "digest", name=op.f("uq_inbound_posts_provider_digest")),
        sa.UniqueConstraint("provider", "once", name=op.f("uq_inbound_posts_provider_once")),
    )
    with op.batch_alter_table("inbound_posts", schema=None) as batch_op:
        batch_op.create_index("ix_inbound_posts_received_at", ["received_at"], unique=False)
        batch_op.create_index(
            "ix_inbound_posts_open", ["id"], unique=False, sqlite_where=_OPEN, postgresql_where=_OPEN
        )
    op.create_table(
        "hook_refusals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_refusals")),
        sa.UniqueConstraint("provider", "day", "reason", name=op.f("uq_hook_refusals_provider_day_reason")),
    )


def downgrade() -> None:
    op.drop_table("hook_refusals")
    op.drop_table("inbound_posts")
    op.drop_table("delivery_events")
