"""How other rooms ask what was owed to whom lately, so that nobody can flood a mailbox through our forms."""

from datetime import datetime

from sqlalchemy import select

from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.notices.models import Kind, Notice


def since(contact: Contact, kind: Kind, moment: datetime) -> list[Notice]:
    """Notices of this kind owed to this contact since then, the newest first."""
    return list(
        db.session.scalars(
            select(Notice)
            .where(Notice.contact_id == contact.id, Notice.kind == kind, Notice.created_at > moment)
            .order_by(Notice.id.desc())
        )
    )
