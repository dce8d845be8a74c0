"""Consent texts by topic and language, each version kept for ever as people saw it, with its digest (GDPR 7(1), S69).

A consent text never falls back to another language: no text in that language, no form in it.
"""

import difflib
import hashlib
from collections.abc import Iterable

from flask import current_app
from sqlalchemy import func, select

from preference_center import clock, i18n
from preference_center.consent.models import ConsentRecord, State, Subscription, Wording
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


def versions(topic: Topic, language: str) -> list[Wording]:
    """Every version in this language, those declared with a file too, the newest first."""
    own = (Wording.topic_id == topic.id, Wording.language == language)
    return list(db.session.scalars(select(Wording).where(*own).order_by(Wording.version.desc())))


def newest_version(topic: Topic, language: str) -> int:
    """The number of the newest version; 0 when there is none."""
    last = select(func.max(Wording.version)).where(Wording.topic_id == topic.id, Wording.language == language)
    return db.session.scalar(last) or 0


def people() -> dict[int, int]:
    """How many contacts are on today by a record that rests on each text, by its id: "people under version 3"."""
    counted = (
        select(ConsentRecord.wording_id, func.count())
        .join(Subscription, Subscription.record_id == ConsentRecord.id)
        .where(Subscription.state == State.given, ConsentRecord.wording_id.is_not(None))
        .group_by(ConsentRecord.wording_id)
    )
    return {wording_id: count for wording_id, count in db.session.execute(counted) if wording_id is not None}


def is_intact(wording: Wording) -> bool:
    """Whether the text is still the one its fingerprint was taken from (S69)."""
    return hashlib.sha256(wording.text.encode()).hexdigest() == wording.sha256


def changes(earlier: str, later: str) -> list[tuple[str, str]]:
    """What changed, word by word: ("same", "gone" or "new", words) in reading order."""
    before, after = earlier.split(), later.split()
    found = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(("same", " ".join(before[a:b])))
            continue
        found += [("gone", " ".join(before[a:b]))] if b > a else []
        found += [("new", " ".join(after[c:d]))] if d > c else []
    return found


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
    wording = Wording(
        topic_id=topic.id,
        language=language,
        version=newest_version(topic, language) + 1,
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
    if purpose_key == "sms":
        return str(_("%(organisation)s may send me offers by SMS. I can stop at any time.", organisation=organisation))
    if purpose_key == "phone":
        return str(_("%(organisation)s may phone me with offers. I can stop at any time.", organisation=organisation))
    if purpose_key == "post":
        return str(_("%(organisation)s may send me offers by post. I can stop at any time.", organisation=organisation))
    if purpose_key == "tracking":
        return str(
            _(
                "%(organisation)s may count which of its emails I open and which links I follow. I can stop this at any time.",
                organisation=organisation,
            )
        )
    return None
