"""The legal bases: what each says of itself, in one line each, and that the ledger holds everybody to it."""

import re

import pytest
from flask import Flask

from preference_center.consent import ledger
from preference_center.consent.law import bases
from preference_center.consent.law.bases import BASES, Ends
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action
from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.topics.purposes import PURPOSES, LegalBasis
from tests.support import make
from tests.support.sources import MODULES, ROOT, read

CONSENTED = {"email_marketing", "tracking", "profiling", "phone", "sms", "post"}
SALE = {"sale", "own_similar_products", "refusal_offered"}
TABLE = {
    # basis: purposes, how it ends, rests on a text, what must be known besides, article of the GDPR
    "consent": (CONSENTED, "withdrawal", True, set(), "A6-1-a"),
    "double_opt_in": (CONSENTED, "withdrawal", True, set(), "A6-1-a"),
    "existing_customer": ({"email_marketing", "sms"}, "objection", False, SALE, "A6-1-f"),
    "contract": ({"service"}, "neither", False, set(), "A6-1-b"),
    "legal_obligation": ({"service"}, "neither", False, set(), "A6-1-c"),
    "vital_interest": ({"service"}, "neither", False, set(), "A6-1-d"),
    "public_task": ({"service"}, "objection", False, set(), "A6-1-e"),
    "legitimate_interest": ({"profiling", "post", "service"}, "objection", False, set(), "A6-1-f"),
}


def test_each_basis_says_what_the_table_says() -> None:
    assert set(BASES) == set(LegalBasis) == set(TABLE)
    for key, basis in BASES.items():
        said = (set(basis.purposes), basis.ends, basis.needs_wording, set(basis.evidence), basis.article[8:])
        assert said == TABLE[key], key
        assert basis.purposes <= set(PURPOSES) and basis.dpv.startswith("dpv:")
        assert basis.renews_as in BASES
        assert (ROOT / "templates" / "public" / "bases" / f"{key}.html").is_file(), f"{key} needs its wording"


def test_nothing_that_carries_advertising_by_mail_rests_on_anything_but_consent_or_a_sale() -> None:
    allowed = bases.allowed_for(PURPOSES["email_marketing"])
    assert allowed == [LegalBasis.consent, LegalBasis.double_opt_in, LegalBasis.existing_customer]


def test_nobody_else_compares_bases() -> None:
    """A new basis is one class: no rule about one stands anywhere else. Only the import asks whether a wish may be confirmed."""
    compared = re.compile(r"(==|!=|\bis|\bis not|\bin) [({\[]?LegalBasis\.|LegalBasis\.\w+ (==|!=|in|is|not)\b")
    asking = {str(file) for file in MODULES if compared.search(read(file))}
    assert compared.search("if basis is LegalBasis.contract:")
    assert asking == {"preference_center/consent/declaring/bulk.py"}


@pytest.mark.parametrize("missing", sorted(SALE))
@pytest.mark.both_databases
def test_an_existing_customer_needs_a_sale_similar_products_and_a_refusal_that_was_offered(
    app: Flask, missing: str
) -> None:  # S77
    with transaction():
        topic, contact = make.topic(), make.contact(jurisdiction="ES")
    detail = {name: value for name, value in make.SALE.items() if name != missing}
    with pytest.raises(Invalid) as refused, transaction():
        ledger.grant(contact, topic, LegalBasis.existing_customer, Evidence("admin", detail=detail))
    assert set(refused.value.faults) == {missing}


def test_an_existing_customer_is_refused_in_poland(app: Flask) -> None:  # S77
    with transaction():
        topic, contact = make.topic(), make.contact(jurisdiction="PL")
    with pytest.raises(Invalid, match="In Poland"), transaction():
        ledger.grant(contact, topic, LegalBasis.existing_customer, Evidence("admin", detail=make.SALE))


@pytest.mark.parametrize(
    ("basis", "purpose", "action"),
    [
        ("consent", "email_marketing", Action.withdrawn),
        ("existing_customer", "email_marketing", Action.objected),
        ("legitimate_interest", "post", Action.objected),
        ("contract", "service", Action.withdrawn),
    ],
)
def test_leaving_ends_a_basis_in_its_own_way(app: Flask, basis: str, purpose: str, action: Action) -> None:
    with transaction():
        topic, contact = make.topic(purpose=purpose), make.contact(jurisdiction="ES")
        ledger.grant(contact, topic, LegalBasis(basis), Evidence("admin", detail=make.SALE))
        record = ledger.withdraw(contact, topic, Evidence("link"))
        assert record is not None and record.action is action
        assert ledger.withdraw(contact, topic, Evidence("link")) is None
        assert BASES[LegalBasis(basis)].ends in (Ends.withdrawal, Ends.objection, Ends.neither)
