"""The doctor's look at sending: whether mail may leave at all."""

from preference_center.commands import desk
from preference_center.config import Settings


def look(settings: Settings) -> str | None:
    """What keeps all mail from leaving, and the remedy; None when nothing does. SQLAlchemyError when the database does not say."""
    with desk.app(settings):
        from preference_center.db import db
        from preference_center.delivery import holding

        try:
            return holding.OLDER if holding.is_older() else holding.held()
        finally:
            db.session.remove()
            db.engine.dispose()
