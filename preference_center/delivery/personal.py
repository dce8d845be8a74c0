"""What this room holds on a person, and how it forgets: which campaigns reached them and what was reported back. The figures of
a campaign keep adding up."""

from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select, update

from preference_center import clock
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.consent.eligibility import Reason
from preference_center.contacts.models import Contact
from preference_center.db import db, rows_as_data
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.results.attempts import Attempt
from preference_center.delivery.results.tracking import TrackedMessage

TABLES = (Message, Attempt, DeliveryEvent, TrackedMessage)
KEPT_BACK: dict[str, str] = {}


def held(contact: Contact) -> dict[str, list[dict[str, Any]]]:
    rows = rows_as_data(Message, where=Message.contact_id == contact.id)
    named = (
        select(Campaign.id, Campaign.name, CampaignVersion.subject)
        .outerjoin(
            CampaignVersion,
            (CampaignVersion.campaign_id == Campaign.id) & (CampaignVersion.number == Campaign.approved_version),
        )
        .where(Campaign.id.in_([row["campaign_id"] for row in rows]))
    )
    names = {row.id: row for row in db.session.execute(named)}
    for row in rows:
        campaign = names.get(row["campaign_id"])
        row |= {"campaign": campaign and campaign.name, "subject": campaign and campaign.subject}
    return {
        "messages": rows,
        "message_attempts": rows_as_data(Attempt, where=Attempt.contact_id == contact.id),
        "delivery_events": rows_as_data(DeliveryEvent, where=_events_of(contact)),
        "tracked_messages": rows_as_data(TrackedMessage, where=TrackedMessage.contact_id == contact.id),
    }


def forget(contact: Contact) -> None:
    """What waits is not sent any more; what was sent counts on, without the relay's words."""
    mine = Message.contact_id == contact.id
    quietly = {"synchronize_session": False}
    db.session.execute(
        update(Message)
        .where(mine, Message.state == MessageState.queued)
        .values(state=MessageState.skipped, reason=Reason.erased, next_try_at=None, changed_at=clock.now())
        .execution_options(**quietly)
    )
    db.session.execute(update(Message).where(mine).values(reply=None).execution_options(**quietly))
    for table in (Attempt, TrackedMessage):
        db.session.execute(delete(table).where(table.contact_id == contact.id).execution_options(**quietly))
    db.session.execute(
        update(DeliveryEvent)
        .where(_events_of(contact))
        .values(address_hash=None, contact_id=None, provider_message_id=None, detail=None, link=None, due_at=None)
        .execution_options(**quietly)
    )


def _events_of(contact: Contact) -> ColumnElement[bool]:
    """Also those that name their address and fitted nothing; somebody erased has none, and others' events may lack one."""
    mine = DeliveryEvent.contact_id == contact.id
    if contact.address_hash is None:
        return mine
    return or_(mine, DeliveryEvent.address_hash == contact.address_hash)
