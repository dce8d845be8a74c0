"""What this room holds on a person, and how it forgets: the requests stay as proof that they were met; links go."""

from typing import Any

from sqlalchemy import delete

from preference_center.contacts.models import Contact
from preference_center.db import db, rows_as_data
from preference_center.privacy.models import DataRequest, RightsLink

TABLES = (DataRequest, RightsLink)
KEPT_BACK: dict[str, str] = {}


def held(contact: Contact) -> dict[str, list[dict[str, Any]]]:
    return {
        "data_requests": rows_as_data(DataRequest, where=DataRequest.contact_id == contact.id),
        "rights_links": rows_as_data(RightsLink, where=RightsLink.contact_id == contact.id),
    }


def forget(contact: Contact) -> None:
    db.session.execute(delete(RightsLink).where(RightsLink.contact_id == contact.id))
