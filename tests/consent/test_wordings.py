"""Consent texts: versions that stay, digests that match, and no text in a language nobody wrote."""

import hashlib

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center.consent import wordings
from preference_center.consent.models import Wording
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.topics import catalogue
from preference_center.topics.models import TopicText
from tests.support import make

pytestmark = pytest.mark.both_databases


def test_a_new_version_supersedes_and_keeps_the_old_one(app: Flask) -> None:
    """S69."""
    with transaction():
        topic = make.topic()
        first = wordings.publish(topic, "en", "  I agree. ")
        assert wordings.publish(topic, "en", "I agree.") is first
        second = wordings.publish(topic, "en", "I agree to more.")
        kept = list(db.session.scalars(select(Wording).order_by(Wording.version)))
        assert [(one.version, one.text, one.superseded_at is None) for one in kept] == [
            (1, "I agree.", False),
            (2, "I agree to more.", True),
        ]
        assert wordings.current(topic, "en") is second
        assert all(one.sha256 == hashlib.sha256(one.text.encode()).hexdigest() for one in kept)
        with pytest.raises(Invalid):
            wordings.publish(topic, "en", " ")


def test_a_text_never_falls_back_to_another_language(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        wordings.publish(topic, "en", "I agree.")
        assert wordings.current(topic, "pl") is None


def test_first_texts_are_made_in_the_languages_the_topic_speaks(app: Flask) -> None:
    with transaction():
        texts = {code: TopicText(language=code, name=name) for code, name in (("en", "Offers"), ("pl", "Oferty"))}
        topic = catalogue.add("offers", texts)
        made = wordings.publish_defaults(topic)
        assert {one.language: one.text for one in made} == {
            "en": "I want to get Offers from Example Shop Ltd by email. I can stop at any time.",
            "pl": "Chcę otrzymywać e-mailem od Example Shop Ltd: Oferty. Mogę zrezygnować w każdej chwili.",
        }
        assert wordings.publish_defaults(topic) == []
