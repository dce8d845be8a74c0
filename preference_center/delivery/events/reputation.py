"""The share of people who call our mail spam: over 0.1 % it warns, at 0.3 % it stops a campaign (Google and Yahoo, S89).

Of those whose server took the mail. A few people are no share: below three complaints nothing is stopped, below two nothing said.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import case, func, select

from preference_center import clock
from preference_center.accounts import audit
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db
from preference_center.delivery.models import Message, MessageState

log = structlog.get_logger()

WARNS, STOPS = 0.001, 0.003
FEW_TO_WARN, FEW_TO_STOP = 2, 3
LATELY = timedelta(days=7)
_TAKEN = (MessageState.sent, MessageState.delivered, MessageState.complained, MessageState.uncertain)


@dataclass(frozen=True)
class Complaints:
    complained: int
    taken: int  # by the servers of those people

    @property
    def rate(self) -> float:
        return self.complained / self.taken if self.taken else 0.0

    @property
    def warns(self) -> bool:
        return self.complained >= FEW_TO_WARN and self.rate > WARNS

    @property
    def stops(self) -> bool:
        return self.complained >= FEW_TO_STOP and self.rate >= STOPS


def of(campaign: Campaign) -> Complaints:
    return _counted(Message.campaign_id == campaign.id)


def lately() -> Complaints:
    """Over the campaigns that began in the last seven days."""
    begun = select(Campaign.id).where(Campaign.started_at > clock.now() - LATELY)
    return _counted(Message.campaign_id.in_(begun))


def watch() -> None:
    """Pause each sending campaign that too many people call spam. Inside a `transaction()`."""
    sending = select(Campaign.id).where(Campaign.state == CampaignState.sending).order_by(Campaign.id)
    for campaign_id in list(db.session.scalars(sending)):
        complaints = _counted(Message.campaign_id == campaign_id)
        if complaints.stops:
            _stop(campaign_id, complaints)


def _stop(campaign_id: int, complaints: Complaints) -> None:
    campaign = campaigns.lock(campaign_id)
    if campaign.state is not CampaignState.sending or _was_told(campaign, complaints):
        return
    campaign.pause(
        clock.now(),
        f"{complaints.complained} of {complaints.taken} people who got it called it spam ({complaints.rate:.1%}). "
        "Mailbox providers refuse senders above 0.3 %. Look at whom it went to before you go on.",
    )
    audit.note(
        "system", "campaign.pause", "campaign", campaign.public_id,
        complained=complaints.complained, taken=complaints.taken,
    )  # fmt: skip
    log.warning("campaign.complaints", campaign=campaign.public_id, complained=complaints.complained)


def _was_told(campaign: Campaign, complaints: Complaints) -> bool:
    """A person who resumes it has been told: it stops again only when half as many again complain."""
    last = db.session.scalar(
        select(audit.AuditEntry.detail)
        .where(
            audit.AuditEntry.action == "campaign.pause",
            audit.AuditEntry.object_kind == "campaign",
            audit.AuditEntry.object_id == campaign.public_id,
            audit.AuditEntry.actor == "system",
        )
        .order_by(audit.AuditEntry.id.desc())
        .limit(1)
    )
    return last is not None and complaints.complained < 1.5 * last["complained"]


def _counted(which: object) -> Complaints:
    complained = func.sum(case((Message.state == MessageState.complained, 1), else_=0))
    row = db.session.execute(
        select(complained, func.count()).where(Message.state.in_(_TAKEN), which)  # type: ignore[arg-type]
    ).one()
    return Complaints(int(row[0] or 0), int(row[1]))
