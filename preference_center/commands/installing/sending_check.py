"""The doctor's look at sending: whether mail may leave at all."""

from preference_center.commands import desk
from preference_center.config import Settings


def stuck(settings: Settings) -> list[str]:
    """Campaigns and imports that were given up because their workers died, each in a line."""
    with desk.app(settings):
        from preference_center.contacts import imports
        from preference_center.db import db
        from preference_center.delivery import sweeping

        try:
            found = [f"campaign {one.public_id}: {one.pause_reason}" for one in sweeping.stuck()]
            return found + [f"import {one.public_id}: {one.trouble}" for one in imports.given_up()]
        finally:
            db.session.remove()
            db.engine.dispose()


def look(settings: Settings) -> str | None:
    """What keeps all mail from leaving, and the remedy; None when nothing does. SQLAlchemyError when the database does not say."""
    with desk.app(settings):
        from preference_center.db import db
        from preference_center.delivery.restoring import holding

        try:
            return holding.OLDER if holding.is_older() else holding.held()
        finally:
            db.session.remove()
            db.engine.dispose()
