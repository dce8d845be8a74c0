"""What a campaign speaks of: a topic, declared attributes, and a quick way to compile and render a content."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from preference_center import clock
from preference_center.campaigns.models import CampaignVersion, ContentFormat
from preference_center.campaigns.rendering import content, imprints
from preference_center.campaigns.rendering.content import Rendered
from preference_center.campaigns.rendering.imprints import Imprint
from preference_center.contacts.models import Attribute, AttributeKind
from preference_center.db import db, transaction

DECLARED = {"first_name": "text", "city": "text", "points": "number", "birthday": "date", "vip": "boolean"}
WHY = "You get this email because you agreed to Product news on 5 January 2026, through our sign-up form."
LINKS = {"unsubscribe_url": "https://mail.example.com/u/1.abc", "preferences_url": "https://mail.example.com/p/1.abc"}


@pytest.fixture
def declared(app: Flask) -> None:
    with transaction():
        for key, kind in DECLARED.items():
            db.session.add(Attribute(key=key, name=key, kind=AttributeKind(kind), created_at=clock.now()))


def version(source: str = "Hello", **fields: Any) -> CampaignVersion:
    """A version as `scheduling` would save it, without a campaign around it."""
    given: dict[str, Any] = {
        "subject": "News",
        "preheader": "",
        "format": ContentFormat.markdown,
        "source": source,
        "text_source": "",
        "segment": "",
    }
    given |= fields
    made = CampaignVersion(campaign_id=0, number=1, compiled=content.compile(given), **given)
    made.sha256 = made.digest()
    return made


def imprint() -> Imprint:
    return replace(imprints.todays(None), names={"": "Product news"})


def rendered(version: CampaignVersion, language: str = "en", **attributes: Any) -> Rendered:
    fields = content.fields_for(
        email="anna@example.org", language=language, attributes=attributes, imprint=imprint(), why=WHY, **LINKS
    )
    return content.renderer(version).render(fields, language)


@pytest.fixture
def render(declared: None) -> Callable[..., Rendered]:
    """Renders a source in a format for somebody with these attributes."""

    def run(
        source: str, format: str = "html", language: str = "en", fields: dict[str, Any] | None = None, **attributes: Any
    ) -> Rendered:
        return rendered(version(source, format=ContentFormat(format), **(fields or {})), language, **attributes)

    return run
