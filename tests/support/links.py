"""Signed links as they stand in our mail, as paths for a test client."""

from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.notices.models import Kind, Notice
from preference_center.signed_links import Power, nonce, ring
from preference_center.topics.models import Topic


def unsub(contact: Contact, topic: Topic | None = None, message_id: int = 0) -> str:
    return f"/u/{ring().sign(Power.unsub, [contact.public_id, topic.key if topic else '*', message_id])}"


def manage(contact: Contact) -> str:
    return f"/p/{ring().sign(Power.manage, [contact.public_id, contact.link_epoch])}"


def rights(contact: Contact, opens: str = "data") -> str:
    """The newest link that was asked for, as its letter holds it."""
    db.session.rollback()  # what the pages have committed since
    asked = db.session.query(Notice).filter_by(kind=Kind.rights_link, contact_id=contact.id).order_by(Notice.id.desc())
    name = next(notice.public_id for notice in asked if notice.payload["opens"] == opens)
    return f"/d/{ring().sign(Power.rights, [contact.public_id, opens, nonce(name)])}"


def confirm(contact: Contact, wish: str) -> str:
    return f"/c/{ring().sign(Power.confirm, [contact.public_id, wish])}"
