"""Rights links: whoever uses a right proves first that the mailbox is theirs. Asked for here, mailed as a notice, used once (S53).

`ask` answers the same and does the same kind of work for every address, so nobody learns who is known here.
"""

import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from preference_center import clock, signed_links
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.notices import queries as past_notices
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind
from preference_center.privacy.models import Opens, RightsLink

AGAIN_AFTER = timedelta(minutes=5)
MOST_A_DAY = 10


def ask(contact: Contact | None, opens: Opens) -> None:
    """Somebody, perhaps this contact, wants to see or change what we hold."""
    held = contact if contact is not None and contact.erased_at is None else None
    whose, now = held.id if held else contacts.NOBODY, clock.now()
    contacts.lock([whose])
    lately = past_notices.since(held, Kind.rights_link, now - timedelta(days=1))
    fresh = _still_to_use(whose, opens)
    if held and lately and (len(lately) >= MOST_A_DAY or fresh):
        notice, whose = notices.ask_again(lately[0]), contacts.NOBODY
    elif held:
        notice = notices.owe(Kind.rights_link, held, {"opens": opens})
    else:
        notice = notices.drop(Kind.rights_link)
    made = signed_links.nonce(notice.public_id)  # where nobody is meant, it is mailed to nobody and opens nothing
    db.session.add(RightsLink(contact_id=whose, opens=opens, nonce_hash=_hash(made), created_at=now))
    db.session.flush()


def look(contact: Contact, carried: list[Any]) -> RightsLink | None:
    """The link behind a genuine token, while it can still be used."""
    if contact.erased_at is not None or len(carried) != 2 or not all(isinstance(part, str) for part in carried):
        return None
    opens, given = carried
    return db.session.scalar(
        select(RightsLink).where(
            RightsLink.contact_id == contact.id,
            RightsLink.opens == opens,
            RightsLink.nonce_hash == _hash(given),
            RightsLink.used_at.is_(None),
        )
    )


def use(link: RightsLink) -> bool:
    """The one act of this link. False when somebody was quicker."""
    return _mark(link, RightsLink.used_at)


def take_file(link: RightsLink, form: str) -> bool:
    """One file of each form."""
    return _mark(link, RightsLink.json_at if form == "json" else RightsLink.html_at)


def end(contact: Contact) -> None:
    """What was mailed to the address they had before opens nothing any more."""
    unused = (RightsLink.contact_id == contact.id, RightsLink.used_at.is_(None))
    db.session.execute(
        update(RightsLink).where(*unused).values(used_at=clock.now()).execution_options(synchronize_session=False)
    )


def _mark(link: RightsLink, column: Any) -> bool:
    marked = db.session.execute(
        update(RightsLink)
        .where(RightsLink.id == link.id, column.is_(None), RightsLink.used_at.is_(None))
        .values({column: clock.now()})
        .returning(RightsLink.id)
        .execution_options(synchronize_session=False)
    )
    return marked.scalar() is not None


def _still_to_use(contact_id: int, opens: Opens) -> bool:
    """A fresh one is on its way already."""
    fresh = select(RightsLink.id).where(
        RightsLink.contact_id == contact_id,
        RightsLink.opens == opens,
        RightsLink.created_at > clock.now() - AGAIN_AFTER,
        RightsLink.used_at.is_(None),
        RightsLink.json_at.is_(None),
        RightsLink.html_at.is_(None),
    )
    return db.session.scalar(fresh) is not None


def _hash(nonce: str) -> bytes:
    return hashlib.sha256(nonce.encode()).digest()
