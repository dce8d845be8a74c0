"""the sending engine: how fast each relay and recipient domain may be used."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from preference_center.db import UTCDateTime

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "relay_paces",
        sa.Column("relay", sa.String(length=120), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("connections", sa.SmallInteger(), nullable=True),
        sa.Column("paused_until", UTCDateTime(), nullable=True),
        sa.Column("failures", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("held_until", UTCDateTime(), nullable=True),
        sa.Column("minute_at", UTCDateTime(), nullable=True),
        sa.Column("minute_used", sa.Integer(), nullable=False),
        sa.Column("day_at", UTCDateTime(), nullable=True),
        sa.Column("day_used", sa.Integer(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("relay", "domain", name=op.f("pk_relay_paces")),
    )


def downgrade() -> None:
    op.drop_table("relay_paces")
