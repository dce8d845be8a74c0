"""How other rooms ask what was owed to whom lately, so that nobody can flood a mailbox through our forms."""

from datetime import datetime

from sqlalchemy import select

from preference_center.contacts.models import Contact
from preference_center.contacts.queries import NOBODY
from preference_center.db import db
from preference_center.notices.models import Kind, Notice


def since(contact: Contact | None, kind: Kind, moment: datetime) -> list[Notice]:
    """Notices of this kind owed to this contact since then, the newest first; for nobody the same work, and none."""
    whose = contact.id if contact else NOBODY
    return list(
        db.session.scalars(
            select(Notice)
            .where(Notice.contact_id == whose, Notice.kind == kind, Notice.created_at > moment)
            .order_by(Notice.id.desc())
        )
    )
