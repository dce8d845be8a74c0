"""How long the law gives us to answer, by where the person lives. The periods stand with the other rules of countries."""

from datetime import datetime

from preference_center.consent.law import jurisdictions


def due(jurisdiction: str | None, asked_at: datetime) -> datetime:
    """The last moment to answer. Days are calendar days and months end on their last day, so it is never too late."""
    return jurisdictions.of(jurisdiction).answer.after(asked_at)
