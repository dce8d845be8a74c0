"""The purposes personal data may serve here, and the names of the legal bases. A topic belongs to one purpose.

Fixed by law and by what the house can do, so it is data in code, not rows (GDPR 5(1)(b)). What a basis allows and asks for is said
in `consent/law/bases.py`.
"""

from dataclasses import dataclass
from enum import StrEnum


class LegalBasis(StrEnum):
    """Each has a class in `consent/law/bases.py`, which holds its rules."""

    consent = "consent"
    double_opt_in = "double_opt_in"
    existing_customer = "existing_customer"
    contract = "contract"
    legal_obligation = "legal_obligation"
    vital_interest = "vital_interest"
    public_task = "public_task"
    legitimate_interest = "legitimate_interest"


@dataclass(frozen=True)
class Purpose:
    key: str
    name: str
    channel: str
    mails: bool = False  # its topics are what mail is sent on; the others only allow or refuse something
    markets: bool = False  # advertising: the rules of the person's country say on which bases


PURPOSES: dict[str, Purpose] = {
    purpose.key: purpose
    for purpose in (
        Purpose("email_marketing", "Marketing by email", "email", mails=True, markets=True),
        Purpose("tracking", "Counting opens and clicks", "email"),
        Purpose("profiling", "Choosing content by what you did", "email"),
        Purpose("phone", "Marketing by phone", "phone", markets=True),
        Purpose("sms", "Marketing by SMS", "sms", markets=True),
        Purpose("post", "Marketing by post", "post", markets=True),
        Purpose("service", "Messages that belong to an order or account", "email", mails=True),
    )
}
