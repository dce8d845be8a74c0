"""What earlier campaigns say of one that is about to be let go: how long it will take, and what is odd about its audience."""

from datetime import datetime, timedelta
from statistics import median

from flask import current_app
from sqlalchemy import select

from preference_center.campaigns.authoring.linting import Finding, Weight
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings
from preference_center.db import db
from preference_center.delivery.pace import pacing
from preference_center.delivery.pace.paces import ALL_RELAYS, Pace
from preference_center.delivery.queries import Figures
from preference_center.delivery.results import totals

USUAL_OF = 3  # campaigns on the same topic that make a custom
TIMES = 3  # as large as usual is odd
LATELY = timedelta(days=1)
TELLING = 100  # fewer mails say nothing of a pace


def takes(people: int) -> timedelta | None:
    """About how long so many mails take: by the limits of the relays, else as fast as it went lately. None when neither is known."""
    settings: Settings = current_app.extensions["settings"]
    rates = [relay.rate for relay in pacing.relays(settings)]
    if limits := [rate for rate in rates if rate is not None]:
        return timedelta(minutes=people / sum(limits)) if len(limits) == len(rates) else None
    paces = [handed / seconds for campaign, figures in _ended() if (handed := _handed(figures)) >= TELLING
             and (seconds := _lasted(campaign)) > 0]  # fmt: skip
    return timedelta(seconds=people / max(paces)) if paces else None


def rest_takes(campaign: Campaign, figures: Figures, at: datetime) -> timedelta | None:
    """About how long what waits takes at the pace so far. None as long as that says nothing."""
    handed = _handed(figures)
    if campaign.started_at is None or campaign.last_wave_at is not None or handed < TELLING or not figures.queued:
        return None
    return (at - campaign.started_at) * (figures.queued / handed)


def resting(at: datetime, limit: int = 5) -> list[Pace]:
    """The relays, and some of the domains, that take nothing for now, with their words; the relays first."""
    rests = select(Pace).where(Pace.paused_until > at, Pace.relay != ALL_RELAYS)
    return list(db.session.scalars(rests.order_by(Pace.domain != "", Pace.paused_until.desc()).limit(limit)))


def oddities(campaign: Campaign, people: int, at: datetime) -> list[Finding]:
    """What may be a mistake in whom it is for: many more than usual, or the same people again within a day."""
    found = []
    sizes = [figures.audience - sum(figures.skipped.values()) for _, figures in _ended(campaign.topic_id)]
    if len(sizes) >= USUAL_OF and people > TIMES * (usual := round(median(sizes))) > 0:
        words = f"More than {TIMES} times as many people as usual on this topic, where it was {usual} in the middle."
        found.append(Finding("many_more", Weight.know, words))
    if not campaign.made_from.startswith(("resend ", "correction ")) and (before := _lately(campaign, at)):
        words = f"“{before.name}” on the same topic began within the last day; who got that gets this one too."
        found.append(Finding("mailed_lately", Weight.know, words))
    return found


def _ended(topic_id: int | None = None) -> list[tuple[Campaign, Figures]]:
    """The last five campaigns that ended, perhaps of one topic, with what became of them."""
    ended = select(Campaign).where(Campaign.state == CampaignState.sent, Campaign.started_at.is_not(None))
    if topic_id is not None:
        ended = ended.where(Campaign.topic_id == topic_id)
    last = list(db.session.scalars(ended.order_by(Campaign.started_at.desc()).limit(5)))
    figures = totals.of_list(last)
    return [(campaign, figures[campaign.id]) for campaign in last if campaign.id in figures]


def _lately(campaign: Campaign, at: datetime) -> Campaign | None:
    begun = select(Campaign).where(Campaign.topic_id == campaign.topic_id, Campaign.id != campaign.id)
    return db.session.scalar(
        begun.where(Campaign.started_at > at - LATELY).order_by(Campaign.started_at.desc()).limit(1)
    )


def _handed(figures: Figures) -> int:
    return figures.sent + figures.delivered + figures.bounced + figures.complained


def _lasted(campaign: Campaign) -> float:
    """Seconds at work; of one that waited for each person's morning, or a calendar, that says nothing."""
    if campaign.started_at is None or campaign.finished_at is None or campaign.last_wave_at is not None:
        return 0.0
    return (campaign.finished_at - campaign.started_at).total_seconds()
