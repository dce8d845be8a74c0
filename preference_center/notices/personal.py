"""What this room holds on a person, and how it forgets: the service mail we owed them."""

from typing import Any

from sqlalchemy import case, update

from preference_center import i18n
from preference_center.contacts.models import Contact
from preference_center.db import db, rows_as_data
from preference_center.notices import letters
from preference_center.notices.models import Kind, Notice, NoticeState

TABLES = (Notice,)
KEPT_BACK: dict[str, str] = {}


def held(contact: Contact) -> dict[str, list[dict[str, Any]]]:
    rows = rows_as_data(Notice, where=Notice.contact_id == contact.id)
    with i18n.in_language(contact.language):
        for row in rows:
            row["subject"] = letters.subject(Kind(row["kind"]), contact, row["payload"], row["public_id"])
    return {"notices": rows}


def forget(contact: Contact) -> None:
    """What waits is not sent any more; of what was sent only kind and day stay."""
    waits = Notice.state.in_([NoticeState.queued, NoticeState.sending])
    db.session.execute(
        update(Notice)
        .where(Notice.contact_id == contact.id)
        .values(state=case((waits, NoticeState.dropped), else_=Notice.state), payload={}, message_id=None, trouble=None)
        .execution_options(synchronize_session=False)
    )
