"""GET, POST /subscribe and /subscribe/<form>: signing up. What a form takes is a wish; the owner of the address confirms it by mail.

A form may stand on another site as plain HTML and post here, so it needs no cookie and no token: all it can cause is one mail.
"""

from dataclasses import dataclass, replace

from flask import Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from preference_center import i18n
from preference_center.consent import standing
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Wording
from preference_center.contacts import addresses, cells
from preference_center.contacts.addresses import Address
from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.i18n import gettext as _
from preference_center.preferences import confirmation, forms
from preference_center.preferences.forms import Offer
from preference_center.preferences.models import SignUpForm
from preference_center.web.guards import limiter
from preference_center.web.public import acts, examples, pages, resending

SITE_AN_HOUR = 1000  # sign-ups over all networks at the form of the site itself; other forms have a figure of their own


@dataclass(frozen=True)
class _Answer:
    """What was filled in, as far as it can be used."""

    typed: str
    address: Address | None
    chosen: list[Offer]
    faults: dict[str, str]


@pages.get("/subscribe")
@pages.get("/subscribe/<form>")
def sign_up(form: str | None = None) -> ResponseReturnValue:
    kept = forms.open_one(form) if form else None
    offers = forms.offers(kept, i18n.current_language())
    if kept is not None and not offers:
        return _not_in_this_language(kept)
    return _page(kept, offers)


@pages.post("/subscribe")
@pages.post("/subscribe/<form>")
@limiter.limit("20 per hour")
@limiter.limit(
    lambda: f"{_most()} per hour",
    key_func=lambda: f"form:{(request.view_args or {}).get('form', '')}",
    deduct_when=lambda answer: answer.status_code == 200,
)
def signed_up(form: str | None = None) -> ResponseReturnValue:
    kept = forms.open_one(form) if form else None
    offers = forms.offers(kept, i18n.current_language())
    if kept is not None and not offers:
        return _not_in_this_language(kept)
    answer = _read(offers)
    if request.form.get("act") == "change":
        return _page(kept, offers, replace(answer, faults={}))
    if answer.faults or answer.address is None:
        return _page(kept, offers, answer), 400
    asked = resending.read(request.form.get("sent"))
    if asked is not None and not asked.may_send_again:
        return _sent(kept, answer, asked)
    if not request.form.get("website"):  # people do not see this field; programs fill it in
        with transaction():
            wanted = [(offer.topic, offer.wording) for offer in answer.chosen]
            confirmation.ask(answer.address, wanted, _source(kept), _evidence(kept), again=asked is not None)
    return _sent(kept, answer, resending.after(asked))


def _most() -> int:
    kept = {form.key: form for form in forms.everything()}.get((request.view_args or {}).get("form", ""))
    return kept.most_an_hour if kept else SITE_AN_HOUR


def _read(offers: list[Offer]) -> _Answer:
    typed = request.form.get("email", "")[:300]
    ticked, shown = set(request.form.getlist("topic")), _shown()
    chosen = [replace(o, wording=shown.get(o.topic.key, o.wording)) for o in offers if o.topic.key in ticked]
    chosen = [offer for offer in chosen if offer.wording.topic_id == offer.topic.id]
    faults = {}
    address = None
    try:
        address = addresses.parse(typed)
    except Invalid:
        faults["email"] = _("Enter an address like name@example.com.")
    if all(offer.topic.purpose_key == "tracking" for offer in chosen):
        faults["topic"] = _("Tick what you want to get.")
    return _Answer(typed.strip(), address, chosen, faults)


def _shown() -> dict[str, Wording]:
    """The consent texts a form showed, by topic: one on another site may still show the version before (S69)."""
    named = dict(value.partition(":")[::2] for value in request.form.getlist("shown"))
    ids = {key: int(text) for key, text in named.items() if text.isascii() and text.isdecimal() and len(text) < 10}
    texts = standing.texts(ids.values())
    return {key: texts[id_] for key, id_ in ids.items() if id_ in texts and texts[id_].shown_on == "form"}


def _source(form: SignUpForm | None) -> str:
    return f"form:{form.key}" if form else "form:subscribe"


def _evidence(form: SignUpForm | None) -> Evidence:
    """Which form it was, on which site it stood, and the name that was typed, kept apart until the address is proven."""
    found = acts.evidence("form")
    name = cells.clean(request.form.get("name", "")[:80]) if form and form.asks_name else None
    detail = {"form": request.path, "site": request.headers.get("Origin", "")[:200], "name": name}
    return replace(found, detail=found.detail | {key: text for key, text in detail.items() if text})


def _sent(form: SignUpForm | None, answer: _Answer, asked: resending.Asked) -> str:
    return render_template(
        "public/check_inbox.html",
        form=form,
        words=_words(form),
        address=answer.typed,
        chosen=answer.chosen,
        name=request.form.get("name", "")[:80],
        language=i18n.current_language(),
        asked=asked,
        sent=resending.sign(asked),
    )


def _page(form: SignUpForm | None, offers: list[Offer], answer: _Answer | None = None) -> str:
    return render_template(
        "public/subscribe.html",
        form=form,
        words=_words(form),
        offers=offers,
        examples=examples,
        faults=answer.faults if answer else {},
        typed=answer.typed if answer else "",
        name=request.form.get("name", "")[:80],
        ticked={offer.topic.key for offer in answer.chosen} if answer else set(),
        language=i18n.current_language(),
        elsewhere=[] if offers else forms.languages(form),
    )


def _not_in_this_language(form: SignUpForm) -> Response:
    """A consent text is never another language's: no text, no form."""
    page = render_template("public/subscribe_not_here.html", form=form, spoken=forms.languages(form))
    return make_response(page, 404)


def _words(form: SignUpForm | None) -> dict[str, str]:
    return dict(form.texts.get(i18n.current_language(), {})) if form else {}
