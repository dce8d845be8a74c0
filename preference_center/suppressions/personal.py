"""What this room holds on a person: marks under the keyed hash of the address. They are what keeps a forgotten person unmailed."""

from typing import Any

from preference_center.contacts.models import Contact
from preference_center.db import rows_as_data
from preference_center.suppressions.models import Suppression, SuppressionRecord

TABLES = (Suppression, SuppressionRecord)
KEPT_BACK: dict[str, str] = {}


def held(contact: Contact) -> dict[str, list[dict[str, Any]]]:
    return {
        "suppressions": rows_as_data(Suppression, where=Suppression.address_hash == contact.address_hash),
        "suppression_records": rows_as_data(
            SuppressionRecord, where=SuppressionRecord.address_hash == contact.address_hash
        ),
    }


def forget(contact: Contact) -> None:
    """Nothing: without the mark an import could bring the person back (GDPR 17(3)(b), 21(3)). It holds no address."""
