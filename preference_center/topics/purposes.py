"""The purposes personal data may serve here, and the legal bases each allows. A topic belongs to one purpose.

Fixed by law and by what the house can do, so it is data in code, not rows (GDPR 5(1)(b), 6(1); ePrivacy directive 13).
"""

from dataclasses import dataclass
from enum import StrEnum


class LegalBasis(StrEnum):
    consent = "consent"  # GDPR 6(1)(a): one clear act, documented
    double_opt_in = "double_opt_in"  # consent whose address was confirmed by its owner
    existing_customer = "existing_customer"  # ePrivacy 13(2): own similar products, refusal offered
    contract = "contract"  # GDPR 6(1)(b)
    legal_obligation = "legal_obligation"  # GDPR 6(1)(c)
    legitimate_interest = "legitimate_interest"  # GDPR 6(1)(f), with the right to object


@dataclass(frozen=True)
class Purpose:
    key: str
    name: str
    channel: str
    bases: tuple[LegalBasis, ...]


_CONSENT = (LegalBasis.consent, LegalBasis.double_opt_in)

PURPOSES: dict[str, Purpose] = {
    purpose.key: purpose
    for purpose in (
        Purpose("email_marketing", "Marketing by email", "email", (*_CONSENT, LegalBasis.existing_customer)),
        Purpose("tracking", "Counting opens and clicks", "email", _CONSENT),
        Purpose("profiling", "Choosing content by what you did", "email", (*_CONSENT, LegalBasis.legitimate_interest)),
        Purpose("phone", "Marketing by phone", "phone", _CONSENT),
        Purpose("sms", "Marketing by SMS", "sms", _CONSENT),
        Purpose("post", "Marketing by post", "post", (*_CONSENT, LegalBasis.legitimate_interest)),
        Purpose(
            "service",
            "Messages that belong to an order or account",
            "email",
            (LegalBasis.contract, LegalBasis.legal_obligation, LegalBasis.legitimate_interest),
        ),
    )
}
