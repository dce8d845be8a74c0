"""GET, POST /subscribe: the sign-up form. What it takes is a wish; the owner of the address confirms it by mail."""

from dataclasses import dataclass

from flask import render_template, request
from flask.typing import ResponseReturnValue

from preference_center import i18n
from preference_center.consent import wordings
from preference_center.consent.models import Wording
from preference_center.contacts import addresses
from preference_center.contacts.addresses import Address
from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.i18n import gettext as _
from preference_center.preferences import choices, confirmation
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.web.guards import limiter
from preference_center.web.public import acts, pages

SOURCE = "form:subscribe"


@dataclass(frozen=True)
class Offer:
    """A topic one can sign up for, with the consent text in the page's own language."""

    topic: Topic
    wording: Wording


@pages.get("/subscribe")
def sign_up() -> ResponseReturnValue:
    return _page(_offers())


@pages.post("/subscribe")
@limiter.limit("20 per hour")
def signed_up() -> ResponseReturnValue:
    offers = _offers()
    typed = request.form.get("email", "")[:300]
    chosen = [offer for offer in offers if offer.topic.key in request.form.getlist("topic")]
    address, faults = _address(typed)
    if not chosen:
        faults["topic"] = _("Tick what you want to get.")
    if faults or address is None:
        return _page(offers, faults, typed, {offer.topic.key for offer in chosen}), 400
    if not request.form.get("website"):  # people do not see this field; programs fill it in
        with transaction():
            wanted = [(offer.topic, offer.wording) for offer in chosen]
            confirmation.ask(address, wanted, SOURCE, acts.evidence("form"))
    return render_template("public/check_inbox.html", address=typed.strip())


def _address(typed: str) -> tuple[Address | None, dict[str, str]]:
    try:
        return addresses.parse(typed), {}
    except Invalid:
        return None, {"email": _("Enter an address like name@example.com.")}


def _offers() -> list[Offer]:
    """No consent text in this language, no box: consent is given to a text one can read."""
    topics = [topic for topic in catalogue.live(public=True) if topic.purpose_key != choices.SERVICE]
    texts = wordings.current_of(topics, i18n.current_language())
    return [Offer(topic, texts[topic.id]) for topic in topics if topic.id in texts]


def _page(
    offers: list[Offer], faults: dict[str, str] | None = None, typed: str = "", ticked: set[str] | None = None
) -> str:
    return render_template(
        "public/subscribe.html",
        offers=offers,
        faults=faults or {},
        typed=typed,
        ticked=ticked or set(),
        language=i18n.current_language(),
    )
