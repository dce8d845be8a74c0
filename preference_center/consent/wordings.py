"""Consent texts by topic and language, each version kept for ever as people saw it, with its digest (GDPR 7(1), S69).

A consent text never falls back to another language: no text in that language, no form in it.
"""

import hashlib
from collections.abc import Iterable

from flask import current_app
from sqlalchemy import func, select

from preference_center import clock, i18n
from preference_center.consent.models import Wording
from preference_center.db import db
from preference_center.errors import Invalid
from preference_center.i18n import gettext as _
from preference_center.topics.models import Topic


def current(topic: Topic, language: str) -> Wording | None:
    """The text in force for this topic in this very language."""
    return current_of([topic], language).get(topic.id)


def current_of(topics: Iterable[Topic], language: str) -> dict[int, Wording]:
    """The texts in force in this language, by topic id; topics without one are left out."""
    found = db.session.scalars(
        select(Wording)
        .where(
            Wording.topic_id.in_([topic.id for topic in topics]),
            Wording.language == language,
            Wording.shown_on == "form",
            Wording.superseded_at.is_(None),
        )
        .order_by(Wording.version)
    )
    return {wording.topic_id: wording for wording in found}


def publish(topic: Topic, language: str, text: str) -> Wording:
    """A new version, in force from now; the one before it stays as the proof for those who saw it."""
    clean = text.strip()
    if not clean:
        raise Invalid("A consent text cannot be empty.", {"text": "Write what people agree to."})
    before = current(topic, language)
    if before is not None and before.text == clean:
        return before
    now = clock.now()
    if before is not None:
        before.superseded_at = now
    last = select(func.max(Wording.version)).where(Wording.topic_id == topic.id, Wording.language == language)
    wording = Wording(
        topic_id=topic.id,
        language=language,
        version=(db.session.scalar(last) or 0) + 1,
        text=clean,
        sha256=hashlib.sha256(clean.encode()).hexdigest(),
        effective_from=now,
    )
    db.session.add(wording)
    db.session.flush()
    return wording


def publish_defaults(topic: Topic) -> list[Wording]:
    """A plain first text in each language the topic speaks and we have a translation for, where it has none yet."""
    made = []
    for text in topic.texts:
        if current(topic, text.language) is None:
            with i18n.in_language(text.language):
                wording = _default(topic.purpose_key, text.name)
            if wording and (text.language == "en" or wording != _english(topic.purpose_key, text.name)):
                made.append(publish(topic, text.language, wording))
    return made


def _english(purpose_key: str, name: str) -> str | None:
    with i18n.in_language("en"):
        return _default(purpose_key, name)


def _default(purpose_key: str, name: str) -> str | None:
    organisation = current_app.extensions["settings"].organisation
    if purpose_key == "email_marketing":
        return str(
            _(
                "I want to get %(topic)s from %(organisation)s by email. I can stop at any time.",
                topic=name,
                organisation=organisation,
            )
        )
    if purpose_key == "tracking":
        return str(
            _(
                "%(organisation)s may count which of its emails I open and which links I follow. I can stop this at any time.",
                organisation=organisation,
            )
        )
    return None
