"""Mail that is followed because its reader agreed to it: a random name for each, and what its links and image tell us.

Asked twice: when the mail is claimed, and again at each hit. Who takes the consent back is not counted from the next hit on, also
not for mail they have already; image and links go on working (S106).
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from preference_center import clock
from preference_center.campaigns import experiments
from preference_center.campaigns.models import CampaignVersion
from preference_center.campaigns.rendering import following
from preference_center.consent import tracking
from preference_center.db import Base, BigId, db, insert_rows
from preference_center.delivery import marks
from preference_center.delivery.events import recording
from preference_center.delivery.events.models import SITE
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message
from preference_center.providers.base import Event, Kind


class TrackedMessage(Base):
    """The random name of one followed message (S24). It says nothing of the person, and nobody can guess another."""

    __tablename__ = "tracked_messages"
    __table_args__ = {"sqlite_with_rowid": False}

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    message_id: Mapped[int] = mapped_column(BigId, unique=True)
    contact_id: Mapped[int] = mapped_column(BigId, index=True)


def names(contacts: Mapping[int, int], at: datetime) -> dict[int, str]:
    """Names by message, of those whose contact agreed; `contacts` is contact by message. Inside the transaction that claims them."""
    agreed = tracking.consenting(set(contacts.values()), at)
    wanted = [message for message, contact in contacts.items() if contact in agreed]
    if not wanted:
        return {}
    known = select(TrackedMessage.message_id, TrackedMessage.id).where(TrackedMessage.message_id.in_(wanted))
    found = {message: name for message, name in db.session.execute(known)}  # noqa: C416 - tried before
    new = {message: secrets.token_hex(13) for message in wanted if message not in found}
    rows = [(name, message, contacts[message]) for message, name in new.items()]
    insert_rows(_TABLE, ("id", "message_id", "contact_id"), rows)
    return found | new


def opened(name: str, agent: str) -> None:
    """The image was fetched."""
    message = _message(name)
    if message is not None:
        _record(message, Event(Kind.opened, _key(message, "opened"), mark=_mark(message), detail=agent))


def target(name: str, link: str) -> str | None:
    """Where a link leads, by any version of its campaign; none when it is no link of ours."""
    message = _message(name)
    if message is None:
        return None
    saved = select(CampaignVersion.sha256).where(CampaignVersion.campaign_id == message.campaign_id)
    newest = db.session.scalar(saved.order_by(CampaignVersion.number.desc()).limit(1))
    return _targets(message.campaign_id, newest).get(link)


@lru_cache(maxsize=64)  # anybody who holds a followed mail can ask for links that are none
def _targets(campaign_id: int, _newest: str | None) -> dict[str, str]:
    """All links of a campaign that lead by us, by name, as its versions hold them; read anew when the newest is another."""
    versions = select(CampaignVersion).where(CampaignVersion.campaign_id == campaign_id)
    found: dict[str, str] = {}
    for version in db.session.scalars(versions.order_by(CampaignVersion.number).execution_options(yield_per=10)):
        if version.is_intact():
            for number in range(experiments.count(version)):
                found |= following.targets(experiments.content_of(version, number).compiled["html"])
    return found


def clicked(name: str, url: str, agent: str) -> None:
    """A link was followed."""
    message = _message(name)
    if message is not None:
        _record(message, Event(Kind.clicked, _key(message, url), mark=_mark(message), url=url, detail=agent))


def _message(name: str) -> Message | None:
    own = select(Message).join(TrackedMessage, TrackedMessage.message_id == Message.id)
    return db.session.scalar(own.where(TrackedMessage.id == name))


def _record(message: Message, event: Event) -> None:
    now = clock.now()
    if message.contact_id in tracking.consenting({message.contact_id}, now):
        recording.record(SITE, [event], now, places=(Place.metadata,))


def _key(message: Message, what: str) -> str:
    """Twice within a minute is once, so that nobody who holds one mail can fill the table with it."""
    return hashlib.sha256(f"{message.id} {clock.now():%Y-%m-%d %H:%M} {what}".encode()).hexdigest()[:24]


def _mark(message: Message) -> str:
    return marks.make(message.id, Place.metadata)


_TABLE: Any = TrackedMessage.__table__
