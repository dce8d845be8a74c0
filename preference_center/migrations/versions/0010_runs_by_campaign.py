"""delivery: the runs of a campaign, and those still open, are found without reading all that ever were."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("ix_delivery_runs_campaign_id", "delivery_runs", ["campaign_id", "id"])
    still_open = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_delivery_runs_open", "delivery_runs", ["id"], sqlite_where=still_open, postgresql_where=still_open
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_runs_open", "delivery_runs")
    op.drop_index("ix_delivery_runs_campaign_id", "delivery_runs")
