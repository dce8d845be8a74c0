"""The owner's order, groups and texts of topics."""

import pytest
from flask import Flask

from preference_center.db import transaction
from preference_center.errors import Invalid, NotFound
from preference_center.topics import catalogue
from tests.support import make

pytestmark = pytest.mark.both_databases


def keys() -> list[str]:
    return [topic.key for topic in catalogue.everything()]


def test_the_named_ones_come_first_and_the_others_stay_as_they_were(app: Flask) -> None:
    with transaction():
        for key in ("a", "b", "c", "d"):
            make.topic(key)
        catalogue.arrange(["c", "a", "c"])
        assert keys() == ["c", "a", "b", "d"]
        make.topic("e")
        assert keys()[-1] == "e"
        catalogue.retire(catalogue.by_key("c"))
        assert keys()[-1] == "c", "the retired ones come last"
        with pytest.raises(NotFound):
            catalogue.arrange(["a", "nothing"])


def test_what_is_not_named_stays(app: Flask) -> None:
    with transaction():
        topic = make.topic("news")
        catalogue.amend(topic, "en", heading=" Shop ")
        text = topic.text("en")
        assert (text.name, text.description, text.heading) == ("Product news", "New things.", "Shop")
        catalogue.amend(topic, "en", description="", name="News")
        assert (text.name, text.description, text.cadence) == ("News", "", "About once a month.")
        catalogue.reword(topic, "en", "News")
        assert text.heading == "Shop", "a page that does not show the group does not change it"
        with pytest.raises(Invalid):
            catalogue.amend(topic, "pl", description="Bez nazwy.")
        with pytest.raises(Invalid):
            catalogue.amend(topic, "en", heading="x" * 61)
