"""Sign-up forms as the owner sets them up: which topics, in which words, and how many may sign up there in an hour."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from preference_center import clock, i18n
from preference_center.consent import wordings
from preference_center.consent.models import Wording
from preference_center.contacts import attributes, mapping
from preference_center.db import db
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.preferences.models import SignUpForm
from preference_center.topics import catalogue
from preference_center.topics.models import Topic

NAME = "first_name"  # the attribute a form's name field fills
MOST_AN_HOUR = 300
FIELDS = {"title": 120, "lead": 600, "thanks": 600}  # how long each text may be
_RESERVED = {"again"}
Texts = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Offer:
    """A topic one can sign up for, with the consent text in one language."""

    topic: Topic
    wording: Wording


def add(
    key: str, topics: Sequence[str], texts: Texts | None = None, *, asks_name: bool = False, most: int = MOST_AN_HOUR
) -> SignUpForm:
    """A new form. Its key stands in its address and in pages of other sites, so it never changes."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,29}", key) or key in _RESERVED:
        raise Invalid(
            "Use small letters, digits and hyphens for the key, 30 at most.", {"key": "Small letters, digits, hyphens."}
        )
    if db.session.get(SignUpForm, key):
        raise Conflict(f"There is a form {key} already.")
    form = change(SignUpForm(key=key, created_at=clock.now()), topics, texts or {}, asks_name=asks_name, most=most)
    db.session.add(form)
    db.session.flush()
    return form


def change(form: SignUpForm, topics: Sequence[str], texts: Texts, *, asks_name: bool, most: int) -> SignUpForm:
    """Settle all of it anew. Languages without any words are left out; without any texts the form has our own words."""
    wanted = list(dict.fromkeys(topics))
    live = {topic.key: topic for topic in catalogue.live()}
    faults = {}
    if not wanted or any(key not in live or live[key].purpose_key == "service" for key in wanted):
        faults["topics"] = "Choose topics in use that people can consent to."
    if not 1 <= most <= 100_000:
        faults["most"] = "Let 1 to 100,000 people sign up in an hour."
    kept = {language: _words(said, faults) for language, said in texts.items()}
    if unknown := set(kept) - set(i18n.LANGUAGES):
        faults["texts"] = f"Not a language of this site: {', '.join(sorted(unknown))}."
    if faults:
        raise Invalid("The form was not saved. " + " ".join(faults.values()), faults)
    if asks_name:
        attributes.declare(NAME, mapping.SAFE_ATTRIBUTES[NAME])
    form.topics, form.texts = wanted, {language: words for language, words in kept.items() if words}
    form.asks_name, form.most_an_hour = asks_name, most
    db.session.flush()
    return form


def _words(said: Mapping[str, str], faults: dict[str, str]) -> dict[str, str]:
    words = {field: said.get(field, "").strip() for field in FIELDS}
    for field, text in words.items():
        if len(text) > FIELDS[field]:
            faults[field] = f"Keep the {field} under {FIELDS[field]} characters."
    return {field: text for field, text in words.items() if text}


def close(form: SignUpForm) -> None:
    """Nobody can sign up there any more; those who did stay as they are."""
    form.closed_at = form.closed_at or clock.now()


def by_key(key: str) -> SignUpForm:
    form = db.session.get(SignUpForm, key)
    if form is None:
        raise NotFound(f"There is no form {key}. `preference-center forms list` shows them all.")
    return form


def open_one(key: str) -> SignUpForm:
    """A form one can sign up at. One answer for a closed and an unknown one."""
    form = db.session.get(SignUpForm, key)
    if form is None or form.closed_at is not None:
        raise NotFound("")
    return form


def everything() -> list[SignUpForm]:
    """All forms, the closed ones last."""
    return list(db.session.scalars(select(SignUpForm).order_by(SignUpForm.closed_at.is_not(None), SignUpForm.key)))


def topics_of(form: SignUpForm | None) -> list[Topic]:
    """The topics in use a form offers, in its own order; without a form all public ones."""
    if form is None:
        return [topic for topic in catalogue.live(public=True) if topic.purpose_key != "service"]
    live = {topic.key: topic for topic in catalogue.live()}
    return [live[key] for key in form.topics if key in live]


def offers(form: SignUpForm | None, language: str) -> list[Offer]:
    """No consent text in this language, no box: consent is given to a text one can read. A form speaks only as it was written."""
    if form is not None and form.texts and language not in form.texts:
        return []
    topics = topics_of(form)
    texts = wordings.current_of(topics, language)
    return [Offer(topic, texts[topic.id]) for topic in topics if topic.id in texts]


def languages(form: SignUpForm | None) -> list[str]:
    """The languages the form exists in."""
    return [language for language in i18n.LANGUAGES if offers(form, language)]
