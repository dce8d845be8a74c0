"""The link in the mail after a sign-up, where nothing comes of it for now."""

from datetime import timedelta

import pytest
import time_machine
from flask.testing import FlaskClient

from preference_center import clock
from preference_center.consent import wordings
from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses, queries
from preference_center.db import transaction
from preference_center.preferences import confirmation
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from tests.support import links
from tests.web.public.conftest import Scene

NEW = "new@example.org"


@pytest.fixture
def path(scene: Scene) -> str:
    """The link of a sign-up for the news."""
    news = scene.topics["news"]
    text = wordings.current(news, "en")
    assert text is not None
    with transaction():
        confirmation.ask(addresses.parse(NEW), [(news, text)], "form:subscribe", Evidence("form", language="en"))
    contact = queries.by_email(NEW)
    assert contact is not None
    return links.confirm(contact, scene.notices()[-1].payload["wish"])


@pytest.mark.parametrize("cause", [Cause.bounce, Cause.manual])
def test_whose_address_was_closed_since_is_not_told_that_they_said_so(
    client: FlaskClient, path: str, cause: Cause
) -> None:
    with transaction():
        register.suppress(addresses.parse(NEW).hash, cause, "test")
    shown = client.post(path).text
    assert "This cannot be confirmed at the moment" in shown and "Try this link again later" in shown
    assert "you have told us" not in shown and "sign up once more" not in shown and "/subscribe" not in shown


def test_the_same_link_confirms_once_the_address_rests_no_more(client: FlaskClient, path: str) -> None:
    start = clock.now()
    with transaction():
        register.suppress(addresses.parse(NEW).hash, Cause.bounce, "test", until=start + timedelta(hours=3))
    assert "This cannot be confirmed at the moment" in client.post(path).text
    with time_machine.travel(start + timedelta(hours=4)):
        assert "Confirmed. You will get Product news." in client.post(path).text
