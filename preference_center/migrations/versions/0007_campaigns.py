"""campaigns: planned by wall time, approvals, experiments, templates, the archive, and what was mailed to whom for the caps."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from preference_center.db import BigId, Json, UTCDateTime

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_PLAN = (
    ("wall_time", sa.String(length=16)),
    ("zone", sa.String(length=40)),
    ("moved_from", UTCDateTime()),
    ("last_wave_at", UTCDateTime()),
    ("decide_at", UTCDateTime()),
    ("winner", sa.SmallInteger()),
    ("archived_at", UTCDateTime()),
)


def upgrade() -> None:
    with op.batch_alter_table("campaigns") as batch_op:
        for name, kind in _PLAN:
            batch_op.add_column(sa.Column(name, kind, nullable=True))
        batch_op.add_column(sa.Column("made_from", sa.String(length=60), server_default="", nullable=False))
    with op.batch_alter_table("campaign_versions") as batch_op:
        batch_op.add_column(sa.Column("audience", Json, server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("experiment", Json, server_default="{}", nullable=False))
    op.add_column("messages", sa.Column("variant", sa.SmallInteger(), nullable=True))
    op.create_table(
        "campaign_approvals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", BigId, nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=320), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_approvals_campaign_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_approvals")),
    )
    op.create_index(op.f("ix_campaign_approvals_campaign_id"), "campaign_approvals", ["campaign_id"])
    op.create_table(
        "templates",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("retired_at", UTCDateTime(), nullable=True),
        sa.Column("id", BigId, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("public_id", name=op.f("uq_templates_public_id")),
    )
    op.create_table(
        "template_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("template_id", BigId, nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("subject", sa.String(length=250), nullable=False),
        sa.Column("preheader", sa.String(length=250), nullable=False),
        sa.Column("format", sa.String(length=10), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("text_source", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_template_versions_template_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_versions")),
        sa.UniqueConstraint("template_id", "number", name=op.f("uq_template_versions_template_id_number")),
    )
    op.create_table(
        "mailings",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("occasion", sa.Integer(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "occasion", name=op.f("pk_mailings")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_mailings_at"), "mailings", ["at"])


def downgrade() -> None:
    for table in ("mailings", "template_versions", "templates", "campaign_approvals"):
        op.drop_table(table)
    op.drop_column("messages", "variant")
    for table, names in (
        ("campaign_versions", ["audience", "experiment"]),
        ("campaigns", [*(name for name, _ in _PLAN), "made_from"]),
    ):
        with op.batch_alter_table(table) as batch_op:
            for name in names:
                batch_op.drop_column(name)
