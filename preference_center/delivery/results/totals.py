"""The figures for pages that are loaded again and again: of a campaign to a million, counting takes a second each time.

Each kept count comes from one statement, so it adds up, and says what was so when it was made. Short counts are never kept.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from flask import current_app

from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.delivery import queries
from preference_center.delivery.queries import Figures

SHORT = 0.05  # seconds: such a count is made anew for everybody who asks
PAGE_SHARE = 1 / 4  # how much of a process's time may go into counting one campaign: on its own page,
LIST_SHARE = 1 / 60  # in lists,
ENDED_SHARE = 1 / 600  # and in lists once it has ended
LIST_SECONDS = 1.0  # how long a list may count; what is left over is counted when it is loaded again
_KEPT = 500


@dataclass(frozen=True, slots=True)
class _Count:
    figures: Figures
    mark: tuple[object, ...]  # the campaign as it was: pause, cancel and end are seen at once
    took: float
    made_at: float

    def serves(self, campaign: Campaign, share: float) -> bool:
        return self.mark == _mark(campaign) and time.monotonic() - self.made_at < self.took / share


def recent(campaign: Campaign, share: float = PAGE_SHARE) -> Figures:
    """The figures of one campaign; counted anew unless that was done a moment ago, and took long."""
    kept = _kept().get(campaign.id)
    return kept.figures if kept and kept.serves(campaign, share) else _count(campaign)


def of_list(campaigns: Iterable[Campaign]) -> dict[int, Figures]:
    """The figures of those that have begun, by id. A long list of large ones lacks some the first time; it never waits for all."""
    until, found = time.monotonic() + LIST_SECONDS, {}
    for campaign in campaigns:
        if campaign.started_at is None:
            continue
        kept = _kept().get(campaign.id)
        if time.monotonic() < until:
            found[campaign.id] = recent(campaign, ENDED_SHARE if _has_ended(campaign) else LIST_SHARE)
        elif kept:
            found[campaign.id] = kept.figures
    return found


def _count(campaign: Campaign) -> Figures:
    begun, counts = time.monotonic(), _kept()
    made = queries.figures(campaign)
    took = time.monotonic() - begun
    if took < SHORT:
        counts.pop(campaign.id, None)
        return made
    if len(counts) >= _KEPT:
        counts.clear()
    counts[campaign.id] = _Count(made, _mark(campaign), took, begun)
    return made


def _mark(campaign: Campaign) -> tuple[object, ...]:
    return campaign.state, campaign.updated_at, campaign.filled_at, campaign.winner


def _has_ended(campaign: Campaign) -> bool:
    return campaign.state in (CampaignState.sent, CampaignState.cancelled)


def _kept() -> dict[int, _Count]:
    found: dict[int, _Count] = current_app.extensions.setdefault("campaign_counts", {})
    return found
