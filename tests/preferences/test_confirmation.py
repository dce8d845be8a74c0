"""Sign-ups that come at once, each in a transaction of its own."""

import threading

import pytest
from flask import Flask

from preference_center.consent import wordings
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Wording
from preference_center.contacts import addresses
from preference_center.db import db, transaction
from preference_center.notices.models import Kind, Notice
from preference_center.preferences import confirmation
from preference_center.topics.models import Topic
from tests.support import shop


@pytest.mark.only_postgresql
def test_two_sign_ups_at_once_of_somebody_who_follows_the_topic_make_one_mail(app: Flask) -> None:
    """S67: what is taken back of a sign-up takes its row locks along, so the person is held before."""
    with transaction():
        topics = shop.topics()
        address = addresses.parse(str(shop.customer(topics, "news").email))
        text = wordings.current(topics["news"], "en")
        assert text is not None
        news, named = topics["news"].id, text.id
    first_has_asked, second_has_asked = threading.Event(), threading.Event()

    def ask() -> None:
        wanted = [(db.session.get_one(Topic, news), db.session.get_one(Wording, named))]
        confirmation.ask(address, wanted, "form:subscribe", Evidence("form", language="en"))

    def first() -> None:
        with app.app_context(), transaction():
            ask()
            first_has_asked.set()
            second_has_asked.wait(1)  # in vain, where the second waits for us

    def second() -> None:
        first_has_asked.wait(20)
        with app.app_context(), transaction():
            ask()
            second_has_asked.set()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert second_has_asked.is_set()
    (notice,) = db.session.query(Notice).filter_by(kind=Kind.new_link, state="queued")
    assert notice.asked == 2
