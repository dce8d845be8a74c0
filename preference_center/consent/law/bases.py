"""The legal bases, one class each: what a basis may be used for, what must be known for it, how it ends, how others name it.

The ledger and the import ask here; nobody else compares bases. Where a basis may carry advertising is the law of the person's
country, which is data (`jurisdictions.toml`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from preference_center.errors import Invalid
from preference_center.topics.purposes import LegalBasis, Purpose


class Ends(StrEnum):
    """What the person may do against processing on a basis."""

    withdrawal = "withdrawal"  # GDPR 7(3)
    objection = "objection"  # GDPR 21; ePrivacy 13(2)
    neither = "neither"  # it is owed, or the law demands it; our mail on it may still be refused


class Basis:
    """What each basis says of itself. Its wording for people stands in `templates/public/bases/`."""

    key: ClassVar[LegalBasis]
    purposes: ClassVar[frozenset[str]]
    ends: ClassVar[Ends]
    needs_wording: ClassVar[bool] = False  # it rests on a text that the person saw
    evidence: ClassVar[Mapping[str, str]] = {}  # what must be known besides: field, and what to say
    lapses: ClassVar[bool] = False  # in some countries it ends by itself so long after it began
    renews_as: ClassVar[LegalBasis]  # what it becomes when the person says yes again before it ends
    method: ClassVar[str] = ""  # how it was collected, where the basis says so
    article: ClassVar[str]  # in the W3C's vocabulary of the GDPR
    dpv: ClassVar[str]  # the same in the DPV's general words

    @classmethod
    def faults(cls, purpose: Purpose, detail: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with resting this purpose on this basis, by field."""
        if purpose.key not in cls.purposes:
            allowed = ", ".join(allowed_for(purpose))
            name = cls.key.replace("_", " ")
            return {"basis": f"{purpose.name} cannot rest on {name}. It can on: {allowed}."}
        return {name: words for name, words in cls.evidence.items() if not detail.get(name)}


_CONSENTED = frozenset({"email_marketing", "tracking", "profiling", "phone", "sms", "post"})
_SERVICE = frozenset({"service"})


class Consent(Basis):
    """GDPR 6(1)(a): one clear act of the person, documented."""

    key, purposes, ends = LegalBasis.consent, _CONSENTED, Ends.withdrawal
    needs_wording, renews_as, method = True, LegalBasis.consent, "single opt-in"
    article, dpv = "eu-gdpr:A6-1-a", "dpv:Consent"


class DoubleOptIn(Consent):
    """The same, and the owner of the address confirmed it from the mailbox."""

    key, renews_as, method = LegalBasis.double_opt_in, LegalBasis.double_opt_in, "double opt-in"


class ExistingCustomer(Basis):
    """ePrivacy 13(2): got at a sale, for similar products of one's own, with a refusal offered then and in each message."""

    key, purposes, ends = LegalBasis.existing_customer, frozenset({"email_marketing", "sms"}), Ends.objection
    evidence = {
        "sale": "Say at which sale the address was got.",
        "own_similar_products": "Affirm that the mail is about your own similar products.",
        "refusal_offered": "Affirm that the person could refuse when the address was got.",
    }
    lapses, renews_as, method = True, LegalBasis.consent, "at a sale"
    article, dpv = "eu-gdpr:A6-1-f", "dpv:LegitimateInterestOfController"


class Contract(Basis):
    """GDPR 6(1)(b): messages that belong to what the person ordered."""

    key, purposes, ends = LegalBasis.contract, _SERVICE, Ends.neither
    renews_as = LegalBasis.contract
    article, dpv = "eu-gdpr:A6-1-b", "dpv:ContractPerformance"


class LegalObligation(Basis):
    """GDPR 6(1)(c): a law demands the message, such as a recall."""

    key, purposes, ends = LegalBasis.legal_obligation, _SERVICE, Ends.neither
    renews_as = LegalBasis.legal_obligation
    article, dpv = "eu-gdpr:A6-1-c", "dpv:LegalObligation"


class VitalInterest(Basis):
    """GDPR 6(1)(d): somebody's life or health hangs on it, such as a warning."""

    key, purposes, ends = LegalBasis.vital_interest, _SERVICE, Ends.neither
    renews_as = LegalBasis.vital_interest
    article, dpv = "eu-gdpr:A6-1-d", "dpv:VitalInterest"


class PublicTask(Basis):
    """GDPR 6(1)(e): a task in the public interest, such as news of an authority. One may object."""

    key, purposes, ends = LegalBasis.public_task, _SERVICE, Ends.objection
    renews_as = LegalBasis.public_task
    article, dpv = "eu-gdpr:A6-1-e", "dpv:PublicInterest"


class LegitimateInterest(Basis):
    """GDPR 6(1)(f): an interest that was weighed against the person's. One may object; never enough for advertising by mail."""

    key, purposes, ends = LegalBasis.legitimate_interest, frozenset({"profiling", "post", "service"}), Ends.objection
    renews_as = LegalBasis.legitimate_interest
    article, dpv = "eu-gdpr:A6-1-f", "dpv:LegitimateInterest"


BASES: dict[LegalBasis, type[Basis]] = {
    basis.key: basis
    for basis in (
        Consent,
        DoubleOptIn,
        ExistingCustomer,
        Contract,
        LegalObligation,
        VitalInterest,
        PublicTask,
        LegitimateInterest,
    )
}


def allowed_for(purpose: Purpose) -> list[LegalBasis]:
    """The bases this purpose may rest on."""
    return [key for key, basis in BASES.items() if purpose.key in basis.purposes]


def check(basis: LegalBasis, purpose: Purpose, detail: Mapping[str, Any]) -> None:
    """Invalid unless this purpose may rest on this basis, and all it asks for is known."""
    faults = BASES[basis].faults(purpose, detail)
    if faults:
        raise Invalid(" ".join(faults.values()), faults)


def declared(basis: LegalBasis, source: str, *, affirmed: bool) -> dict[str, Any]:
    """What a file's owner stated for all its rows, as the evidence this basis asks for: `source` says where, `affirmed` the rest."""
    wanted = BASES[basis].evidence
    return {name: source if name == "sale" else affirmed for name in wanted}


def ends_by_itself(basis: LegalBasis | None) -> bool:
    return basis is not None and BASES[basis].lapses


def ends_by_a_no(basis: LegalBasis | None) -> bool:
    return basis is None or BASES[basis].ends is not Ends.neither


def ends_by_objection(basis: LegalBasis | None) -> bool:
    return basis is not None and BASES[basis].ends is Ends.objection
