"""Seeing a mail as real people get it: masked, with empty fields, dark, and counted how many fields stay empty."""

import pytest
from flask import Flask

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.contacts import attributes
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.topics.models import Topic
from tests.support import make
from tests.web.admin.conftest import Console

pytestmark = pytest.mark.both_databases


@pytest.fixture
def path(app: Flask, news: Topic) -> str:
    with transaction():
        for key in ("first_name", "city"):
            db.session.add(Attribute(key=key, name=key, kind=AttributeKind.text, created_at=clock.now()))
        make.follower(news, "blank@example.org", attributes={"city": ""})
        for n in range(5):
            make.follower(news, f"anna{n}@example.org", attributes={"first_name": "Anna", "city": "Rome"})
        make.contact("stranger@example.org")
        made = scheduling.create(
            "Autumn", news, "News for {{ first_name }}", "markdown", "Hello {{ city|default('you') }} ok"
        )
    return f"/admin/campaigns/{made.public_id}/preview"


def _contact(email: str) -> Contact:
    db.session.rollback()
    return db.session.query(Contact).filter_by(email=email).one()


def test_it_says_for_how_many_a_field_is_empty_and_shows_one_of_them(marketer: Console, path: str) -> None:
    html = marketer.get(path).get_data(as_text=True)
    assert "first_name is empty for 1 person" in html and "city is empty" not in html
    blank = _contact("blank@example.org").public_id
    assert f"as={blank}" in html and f'<option value="{blank}">blank@example.org' in html
    assert "stranger@example.org" not in html


def test_the_mail_is_as_that_person_gets_it(marketer: Console, path: str) -> None:
    anna = _contact("anna1@example.org").public_id
    assert "News for Anna" in marketer.text(f"{path}?as={anna}")
    assert "Hello Rome" in marketer.get(f"{path}/mail?as={anna}").get_data(as_text=True)
    assert "Hello Rome" in marketer.text(f"{path}?as={anna}&view=text")
    assert "Hello you" in marketer.get(f"{path}/mail?as={_contact('blank@example.org').public_id}").get_data(
        as_text=True
    )


def test_who_may_not_see_addresses_sees_everything_masked(viewer: Console, path: str) -> None:
    html = viewer.get(path).get_data(as_text=True)
    assert "a•••@example.org" in html and "anna1@" not in html
    anna = _contact("anna1@example.org").public_id
    text = viewer.get(f"{path}?as={anna}").get_data(as_text=True) + viewer.get(f"{path}/mail?as={anna}").get_data(
        as_text=True
    )
    assert "News for A•••" in text and "R•••" in text
    assert "Anna" not in text and "Rome" not in text and "anna1@" not in text


def test_no_kind_of_attribute_is_seen_by_who_may_not_see_them(viewer: Console, marketer: Console, news: Topic) -> None:
    """Numbers, sets, yes and no, days, and a letter that says it all: neither as words nor by which branch is taken."""
    with transaction():
        for key, kind in (
            ("debt", "number"),
            ("ills", "set"),
            ("insured", "boolean"),
            ("born", "date"),
            ("sex", "text"),
        ):
            attributes.declare(key, kind=kind)
        known = {"debt": 4321, "ills": ["gout", "flu"], "insured": False, "born": "1971-02-03", "sex": "F"}
        anna = make.follower(news, attributes=known).public_id
        body = "{{ debt }} {{ ills }} {{ born|date }} {{ sex }} {% if insured %}insured{% else %}bare{% endif %}"
        made = scheduling.create("Debts", news, "You owe {{ debt }}", "markdown", body).public_id
    path, told = f"/admin/campaigns/{made}/preview", ("4321", "gout", "1971", "bare")
    seen = marketer.text(f"{path}?as={anna}") + marketer.text(f"{path}/mail?as={anna}")
    assert all(word in seen for word in told) and "owe 4321" in seen
    hidden = viewer.text(f"{path}?as={anna}") + viewer.text(f"{path}/mail?as={anna}")
    assert not any(word in hidden for word in told) and "owe •••" in hidden
    assert "••• ••• 1••• ••• insured" in hidden


def test_the_dark_view_turns_the_frame_dark_and_no_link_works(marketer: Console, path: str) -> None:
    assert "view=dark" in marketer.get(f"{path}?view=dark").get_data(as_text=True)
    answer = marketer.get(f"{path}/mail?view=dark")
    assert "html{background:#fff;filter:invert(1)" in answer.get_data(as_text=True), (
        "the ground is turned with the rest"
    )
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "invert(1)" not in marketer.get(f"{path}/mail").get_data(as_text=True)


def test_nobody_is_made_or_changed_by_looking(viewer: Console, path: str) -> None:
    before = db.session.query(Contact).count()
    viewer.get(f"{path}?as={_contact('anna1@example.org').public_id}")
    assert db.session.query(Contact).count() == before
    assert viewer.get(f"{path}?as=nobody").status_code == 404
