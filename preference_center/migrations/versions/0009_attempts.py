"""delivery: what the relay said at each attempt at a message that it put off."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from preference_center.db import BigId, UTCDateTime

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "message_attempts",
        sa.Column("id", BigId, nullable=False),
        sa.Column("message_id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("reply_code", sa.SmallInteger(), nullable=True),
        sa.Column("reply", sa.String(length=200), nullable=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_attempts")),
    )
    op.create_index(op.f("ix_message_attempts_message_id"), "message_attempts", ["message_id"])
    op.create_index(op.f("ix_message_attempts_contact_id"), "message_attempts", ["contact_id"])


def downgrade() -> None:
    op.drop_table("message_attempts")
