"""pages: groups of topics, sign-up forms, the look of the public pages, reports of their policy."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from preference_center.db import UTCDateTime
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.create_table(
        "sign_up_forms",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("topics", json, nullable=False),
        sa.Column("texts", json, nullable=False),
        sa.Column("asks_name", sa.Boolean(), nullable=False),
        sa.Column("most_an_hour", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("closed_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_up_forms")),
    )
    op.create_table(
        "brands",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("chosen", json, nullable=False),
        sa.Column("css", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=16), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brands")),
    )
    op.create_table(
        "policy_reports",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("directive", sa.String(length=40), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "directive", name=op.f("pk_policy_reports")),
    )
    with op.batch_alter_table("topic_texts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("heading", sa.String(length=60), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("topic_texts", schema=None) as batch_op:
        batch_op.drop_column("heading")
    op.drop_table("policy_reports")
    op.drop_table("brands")
    op.drop_table("sign_up_forms")
