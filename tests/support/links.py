"""Signed links as they stand in our mail, as paths for a test client."""

from preference_center.contacts.models import Contact
from preference_center.signed_links import Power, ring
from preference_center.topics.models import Topic


def unsub(contact: Contact, topic: Topic | None = None, message_id: int = 0) -> str:
    return f"/u/{ring().sign(Power.unsub, [contact.public_id, topic.key if topic else '*', message_id])}"


def manage(contact: Contact) -> str:
    return f"/p/{ring().sign(Power.manage, [contact.public_id, contact.link_epoch])}"


def confirm(contact: Contact, wish: str) -> str:
    return f"/c/{ring().sign(Power.confirm, [contact.public_id, wish])}"
