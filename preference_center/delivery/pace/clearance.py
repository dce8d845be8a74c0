"""May a large campaign leave? What the DNS must say for so much mail is looked at before its first message (S90).

The first run asks, with no transaction open, and a failure pauses the campaign with the reason, once: whoever resumes it has been told,
and wants it sent all the same. The audit trail keeps both. What is not known stops nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from flask import current_app
from sqlalchemy import func, select

from preference_center import clock
from preference_center.accounts import audit
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, Run
from preference_center.mail.preflight import report
from preference_center.mail.preflight.findings import Finding, Standing

log = structlog.get_logger()

LARGE = 5_000  # more in a day make a bulk sender, by the rules of Google and Microsoft
PATIENCE = 5.0  # seconds for all questions
_REASON = 200
_WAYS = "Mend it, or resume to send all the same."
_PAUSED = "campaign.dns_not_ready"


def refused(campaign_id: int) -> bool:
    """Whether this campaign has been paused now because the DNS is not ready for it. Not inside a transaction."""
    settings: Settings = current_app.extensions["settings"]
    if not report.concerns(settings):
        return False
    with transaction():
        if not _is_to_be_looked_at(campaign_id):
            return False
    failed = [one for one in report.look(settings, PATIENCE) if one.standing is Standing.failed]
    if not failed:
        return False
    with transaction():
        campaign = campaigns.lock(campaign_id)
        if campaign.state is CampaignState.sending and _was_told(campaign):  # resumed while we asked
            return False
        if campaign.state is CampaignState.sending:
            campaign.pause(clock.now(), reason(failed))
            names = [one.what for one in failed]
            audit.note("system", _PAUSED, "campaign", campaign.public_id, failed=names)
            log.warning(_PAUSED, campaign=campaign.public_id, failed=names)
    return True


def _was_told(campaign: Campaign) -> bool:
    """It was paused for this, and is not paused any more: only a person's resume leads out of a pause to sending."""
    since = campaign.created_at - timedelta(days=1)  # the clocks of two machines may differ
    return bool(audit.moments(_PAUSED, "campaign", campaign.public_id, since=since))


def reason(failed: Sequence[Finding]) -> str:
    """What failed by name, the first in full, and the ways on; `doctor` tells all of them."""
    names = ", ".join(dict.fromkeys(one.what for one in failed))
    words = f"DNS is not ready for more than {LARGE} messages ({names}; `doctor` tells all). {failed[0]}"
    room = _REASON - len(_WAYS) - 1
    return f"{words if len(words) <= room else words[: room - 1] + '…'} {_WAYS}"


def _is_to_be_looked_at(campaign_id: int) -> bool:
    """A large one that nobody has begun to send since it was started or resumed."""
    campaign = db.session.get(Campaign, campaign_id)
    if campaign is None or campaign.state is not CampaignState.sending or _was_told(campaign):
        return False
    newest = select(Run.started_at).where(Run.campaign_id == campaign_id).order_by(Run.id.desc()).limit(1)
    begun = db.session.scalar(newest)
    if begun is not None and begun >= campaign.updated_at:
        return False
    waiting = select(Message.id).where(Message.campaign_id == campaign_id, Message.waits)
    some = waiting.limit(LARGE + 1).subquery()
    return (db.session.scalar(select(func.count()).select_from(some)) or 0) > LARGE
