"""delivery: no index looks at the state of a message, so that PostgreSQL can write a new one in place (HOT)."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_WAITS = {"sqlite_where": sa.text("waits = 1"), "postgresql_where": sa.text("waits")}
_QUEUED, _SENDING = sa.text("state = 'queued'"), sa.text("state = 'sending'")


def upgrade() -> None:
    # SQLite can add a column that is worked out when it is read, and keeps it in the index alone
    kept = "STORED" if op.get_context().dialect.name == "postgresql" else "VIRTUAL"
    op.drop_index("ix_messages_queued", "messages")
    op.drop_index("ix_messages_sending", "messages")
    op.execute(f"ALTER TABLE messages ADD COLUMN waits BOOLEAN NOT NULL GENERATED ALWAYS AS (state = 'queued') {kept}")
    op.create_index("ix_messages_waits", "messages", ["campaign_id", "id"], **_WAITS)


def downgrade() -> None:
    op.drop_index("ix_messages_waits", "messages")
    op.drop_column("messages", "waits")
    op.create_index(
        "ix_messages_sending", "messages", ["run_id"], sqlite_where=_SENDING, postgresql_where=_SENDING
    )
    op.create_index(
        "ix_messages_queued", "messages", ["campaign_id", "id"], sqlite_where=_QUEUED, postgresql_where=_QUEUED
    )
