"""A campaign worked on in this process, for faults that need a clock of their own or a glance between two steps."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.delivery import queries, sending, sweeping
from preference_center.delivery.queries import Figures
from tests.support.campaigns import filled


def begun(addresses: Iterable[str]) -> int:
    """A campaign to these followers: started, filled, nothing of it sent."""
    return filled(addresses).id


def sweep() -> None:
    """As the clock's job does."""
    for run_id in sweeping.open_runs():
        with transaction():
            sweeping.settle_run(run_id)
    for campaign_id in sweeping.open_campaigns():
        with transaction():
            sweeping.tend(campaign_id)
    sweeping.tidy_journals()
    db.session.remove()


def let_it_end(campaign_id: int, travel: Any, minutes: int = 20, rounds: int = 70) -> None:
    """Work, sweep and wait in turns until the campaign is over; within the day after which what waits is too late."""
    for _ in range(rounds):
        sending.run(campaign_id, seconds=20)
        sweep()
        if look(campaign_id).state is CampaignState.sent:
            return
        travel.shift(timedelta(minutes=minutes))
    raise AssertionError("the campaign did not end")


def look(campaign_id: int) -> Campaign:
    """The campaign as it stands in the database now."""
    db.session.rollback()
    return db.session.get_one(Campaign, campaign_id, populate_existing=True)


def figures(campaign_id: int) -> Figures:
    return queries.figures(look(campaign_id))


def states(campaign_id: int) -> dict[str, tuple[str, str | None]]:
    """State and reason of each message, by address; of erased people by their number."""
    rows = queries.rows(look(campaign_id), limit=1000)
    found = {str(contact.email or contact.id): (str(message.state), message.reason) for message, contact in rows}
    db.session.rollback()
    return found
