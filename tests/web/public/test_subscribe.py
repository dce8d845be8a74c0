"""Signing up, and confirming from one's own mailbox; and asking for the link to one's choices."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from preference_center import clock, jobs
from preference_center.consent import ledger, tracking
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import addresses
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.notices import letters
from preference_center.notices.models import Kind, NoticeState
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.web.guards import limiter
from tests.support import links, make, shop
from tests.support.bell import WrittenBell
from tests.support.database_hash import digest
from tests.support.statements import heard
from tests.web.public.conftest import Scene

NEW = "new@example.org"


@pytest.fixture(autouse=True)
def no_limits(app: Flask) -> Iterator[None]:
    limiter.enabled = False
    yield
    limiter.enabled = True


def sign_up(client: FlaskClient, *topics: str, email: str = NEW, **more: str) -> str:
    answer = client.post("/subscribe", data={"email": email, "topic": list(topics), **more})
    assert answer.status_code == 200
    return answer.text


def newcomer() -> Contact:
    db.session.rollback()
    contact = contacts.by_email(NEW)
    assert contact is not None
    return contact


def confirm_path(scene: Scene) -> str:
    return links.confirm(newcomer(), scene.notices()[-1].payload["wish"])


def test_the_form_has_empty_boxes_each_with_its_own_text(client: FlaskClient, scene: Scene) -> None:
    """S55, S63."""
    text = client.get("/subscribe").text
    assert len(re.findall(r'type="checkbox"', text)) == 3
    assert "checked" not in text and 'value="orders"' not in text
    assert "I want to get Product news from Example Shop Ltd by email. I can stop at any time." in text
    assert "<script" not in text


def test_without_a_consent_text_in_a_language_there_is_no_form_in_it(client: FlaskClient, scene: Scene) -> None:
    assert "checkbox" not in client.get("/subscribe?lang=es").text
    answer = client.post("/subscribe?lang=es", data={"email": NEW, "topic": "news"})
    assert answer.status_code == 400
    assert contacts.by_email(NEW) is None


@pytest.mark.parametrize("language", ["../../etc", "xx", "pl_PL.utf8", "x" * 10_000])
def test_an_odd_language_falls_back(client: FlaskClient, scene: Scene, language: str) -> None:
    assert client.get("/subscribe", query_string={"lang": language}).status_code == 200
    assert client.get("/subscribe", headers={"Accept-Language": language}).status_code == 200


@pytest.mark.parametrize(
    "email",
    ["", "a@b", "no at", "a@@b.example", "a@example.org\r\nBcc: b@example.org", "a\0@example.org", "postmaster@[127.0.0.1]",
     "x" * 255 + "@example.org", "a@exam\u202eple.org", "<script>@example.org", "a b@example.org"],
)  # fmt: skip
def test_a_wrong_address_is_tied_to_its_field_and_stores_nothing(client: FlaskClient, scene: Scene, email: str) -> None:
    before = digest()
    answer = client.post("/subscribe", data={"email": email, "topic": "news"})
    assert answer.status_code == 400
    assert "<title>Error:" in answer.text and 'aria-describedby="email-fault' in answer.text
    assert 'value="news" checked' in answer.text
    assert "<script" not in answer.text
    assert digest() == before


def test_no_topic_is_a_fault_with_the_address_kept(client: FlaskClient, scene: Scene) -> None:
    answer = client.post("/subscribe", data={"email": NEW, "topic": "nothing"})
    assert answer.status_code == 400
    assert f'value="{NEW}"' in answer.text and 'id="topic-fault"' in answer.text


@pytest.mark.both_databases
def test_a_sign_up_is_a_wish_until_its_owner_confirms(client: FlaskClient, scene: Scene) -> None:
    """S64, S65, S73."""
    assert "Check your inbox" in sign_up(client, "news", "events")
    contact = newcomer()
    assert (contact.source, contact.language) == ("form:subscribe", "en")
    assert scene.on(contact) == set()
    assert [(n.kind, n.state) for n in scene.notices()] == [(Kind.confirm_subscription, NoticeState.queued)]
    path = confirm_path(scene)
    before = digest()
    pages = [client.get(path) for _ in range(10)]
    assert {page.status_code for page in pages} == {200}
    assert "Yes, send me these emails" in pages[0].text and "I want to get Product news" in pages[0].text
    assert digest() == before
    answer = client.post(path)
    assert "Confirmed. You will get Product news, Events." in answer.text
    assert scene.on(newcomer()) == {"news", "events"}
    assert "Open your preferences" in answer.text
    records = db.session.query(ConsentRecord).filter_by(contact_id=contact.id).order_by(ConsentRecord.id).all()
    assert [r.action for r in records] == ["requested", "requested", "confirmed", "confirmed"]
    assert {r.legal_basis for r in records} == {"double_opt_in"}
    assert all(r.wording_id and r.source == "form" and r.source_ref.startswith("subscribe:") for r in records)


def test_a_wish_and_its_confirmation_keep_the_language_of_the_text_that_was_shown(
    client: FlaskClient, scene: Scene
) -> None:
    """S69: whatever language the person's own pages and mails are in."""
    with transaction():
        polish = shop.customer(scene.topics, "news", "offers", email=NEW, language="pl")
    client.post("/subscribe?lang=en", data={"email": NEW, "topic": "events"})
    client.post(confirm_path(scene))
    asked, confirmed = scene.records(polish)
    assert (asked.action, asked.language, confirmed.action, confirmed.language) == (
        "requested",
        "en",
        "confirmed",
        "en",
    )


def test_what_is_no_mail_is_asked_and_confirmed_in_words_of_its_own(client: FlaskClient, scene: Scene) -> None:
    """S63: nobody agrees to be counted by a button that speaks of mail."""
    with transaction():
        tracking.offer()
    sign_up(client, "news", "tracking")
    letter = letters.write(scene.notices()[-1], newcomer())
    assert "to send these emails to this address:\n\n- Product news" in letter.text
    assert "agreed to this at Example Shop Ltd, with this address:\n\n- Counting opens and clicks\n" in letter.text
    assert letter.html.index("agreed to this at") < letter.html.index("Counting opens and clicks")
    path = confirm_path(scene)
    asked = client.get(path).text
    assert (
        "Yes, I agree to this" in asked and "may count which of its emails I open" in asked and "send me" not in asked
    )
    told = client.post(path).text
    assert "Confirmed. You will get Product news." in told and "You agreed to: Counting opens and clicks." in told
    assert "You get Product news. There is nothing more to do." in client.get(path).text


def test_nobody_is_told_of_a_consent_that_they_have_withdrawn(client: FlaskClient, scene: Scene) -> None:
    with transaction():
        switch = tracking.offer()
    sign_up(client, "news", "tracking")
    with transaction():
        ledger.withdraw(newcomer(), switch, Evidence("link"))
    path = confirm_path(scene)
    assert "Counting opens and clicks" not in client.get(path).text
    told = client.post(path).text
    assert "Confirmed. You will get Product news." in told and "You agreed to" not in told
    sign_up(client, "events", "tracking")
    path = confirm_path(scene)
    client.post(path)
    client.post(links.unsub(newcomer(), scene.topics["events"]), data={"List-Unsubscribe": "One-Click"})
    again = client.get(path).text
    assert "You agreed to: Counting opens and clicks." in again and "You get" not in again


def test_a_used_link_says_so_and_writes_nothing(client: FlaskClient, scene: Scene) -> None:
    sign_up(client, "news")
    path = confirm_path(scene)
    client.post(path)
    before = digest()
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 200 and "This is confirmed already" in answer.text
        assert "/p/" not in answer.text
    assert digest() == before


def test_a_wish_that_was_stopped_since_stays_stopped(client: FlaskClient, scene: Scene) -> None:
    sign_up(client, "news")
    path = confirm_path(scene)
    client.post(links.unsub(newcomer(), scene.topics["news"]), data={"List-Unsubscribe": "One-Click"})
    assert "This was stopped in the meantime" in client.post(path).text
    assert scene.on(newcomer()) == set()


def test_a_wish_whose_topic_was_retired_since_is_not_laid_to_the_person(client: FlaskClient, scene: Scene) -> None:
    sign_up(client, "news")
    path = confirm_path(scene)
    with transaction():
        catalogue.retire(scene.topics["news"])
    for answer in (client.get(path), client.post(path)):
        assert "Has ended. Nothing more comes of it" in answer.text and "you have told us" not in answer.text
    assert scene.on(newcomer()) == set()


def test_one_who_left_and_comes_back_the_same_day_can_confirm_again(client: FlaskClient, scene: Scene) -> None:
    sign_up(client, "news")
    client.post(confirm_path(scene))
    client.post(links.unsub(newcomer(), scene.topics["news"]), data={"List-Unsubscribe": "One-Click"})
    sign_up(client, "news")
    assert len(scene.notices()) == 2
    assert scene.on(newcomer()) == set()
    client.post(confirm_path(scene))
    assert scene.on(newcomer()) == {"news"}


def test_a_confirmation_mail_that_never_left_does_not_stand_for_the_next(client: FlaskClient, scene: Scene) -> None:
    sign_up(client, "news")
    with transaction():
        scene.notices()[0].state = NoticeState.failed
    sign_up(client, "news")
    assert [notice.state for notice in scene.notices()] == [NoticeState.failed, NoticeState.queued]


def test_an_expired_confirmation_explains_itself(client: FlaskClient, scene: Scene) -> None:
    sign_up(client, "news")
    path = confirm_path(scene)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=8)):
        for answer in (client.get(path), client.post(path)):
            assert answer.status_code == 410 and "This link has expired" in answer.text
    assert scene.on(newcomer()) == set()


def test_the_answer_is_the_same_for_everybody(client: FlaskClient, scene: Scene) -> None:
    """S66: new, pending, confirmed, suppressed and erased addresses; each costs one write."""
    with transaction():
        register.suppress(addresses.parse("gone@example.org").hash, Cause.complaint, "test")
        register.suppress(addresses.parse("erased@example.org").hash, Cause.erased, "test")
    pages = {}
    for name, email in {
        "new": NEW,
        "pending": NEW,
        "confirmed": "anna@example.org",
        "suppressed": "gone@example.org",
        "erased": "erased@example.org",
    }.items():
        before = digest()
        page = sign_up(client, "news", email=email).replace(email, "…")
        pages[name] = re.sub(r'name="sent" value="[^"]*"', "", page)  # when it was sent, signed
        assert digest() != before, name
    assert len(set(pages.values())) == 1
    db.session.rollback()
    assert contacts.by_email("gone@example.org") is None
    kinds = [(n.kind, n.state) for n in scene.notices()]
    assert kinds == [
        (Kind.confirm_subscription, NoticeState.queued),
        (Kind.new_link, NoticeState.queued),
        (Kind.confirm_subscription, NoticeState.queued),  # only the owner of the mailbox can come back
    ]
    assert scene.dropped() == [Kind.confirm_subscription] * 2  # the pending one, asked again, and the suppressed one


@pytest.mark.parametrize("topics", [["news"], ["news", "offers", "events"]])
def test_the_answer_costs_the_same_for_everybody(
    client: FlaskClient, scene: Scene, bell: WrittenBell, topics: list[str]
) -> None:
    """S66: the time is that of the work, so the work is counted: each writes all that a new wish needs, whoever it is for."""
    with transaction():
        register.suppress(addresses.parse("gone@example.org").hash, Cause.complaint, "test")
        register.suppress(addresses.parse("erased@example.org").hash, Cause.erased, "test")
        db.session.add(Attribute(key="age", name="Age", kind=AttributeKind.number, created_at=clock.now()))
        make.contact("child@example.org", attributes={"age": 9})
    sign_up(client, *topics, email="first@example.org")  # what a process looks up once
    emails = ["new", "anna", "gone", "erased", "child"] * 2
    costs = [_cost(bell, lambda to=to: sign_up(client, *topics, email=f"{to}@example.org")) for to in emails]  # type: ignore[misc]
    wish = {"consent_records", "contact_keys", "consent_evidence", "subscriptions", "notices", "contacts"}
    assert all(wish <= cost.written for cost in costs)
    assert {cost.rung for cost in costs} == {(jobs.SEND_NOTICE.path,)}
    counted = [cost.statements for cost in costs]
    assert max(counted) - min(counted) <= 5, counted  # of thirty; look-ups by number, all of them
    assert scene.on() == {"news", "offers"} and contacts.by_email("gone@example.org") is None


@pytest.mark.parametrize("path", ["/link", "/data"])
def test_asking_for_a_link_costs_the_same_for_everybody(
    client: FlaskClient, scene: Scene, bell: WrittenBell, path: str
) -> None:
    """S66: the first time, and again."""
    with transaction():
        register.suppress(addresses.parse("gone@example.org").hash, Cause.complaint, "test")
    client.post(path, data={"email": "first@example.org"})
    emails = ["anna", "who", "gone"] * 3
    costs = [_cost(bell, lambda to=to: client.post(path, data={"email": f"{to}@example.org"})) for to in emails]  # type: ignore[misc]
    assert len(set(costs)) == 1, costs


@dataclass(frozen=True)
class _Cost:
    statements: int
    written: frozenset[str]  # tables, also what was taken back
    rung: tuple[str, ...]


def _cost(bell: WrittenBell, call: Callable[[], object]) -> _Cost:
    bell.rung.clear()
    with heard() as said:
        call()
    return _Cost(
        len(said),
        frozenset(table for text in said for table in re.findall(r"^(?:INSERT INTO|UPDATE) (\w+)", text)),
        tuple(path for path, _ in bell.rung),
    )


def test_many_sign_ups_for_one_address_make_one_mail(client: FlaskClient, scene: Scene) -> None:
    """S67."""
    for _ in range(25):
        sign_up(client, "news", email="  NEW@Example.ORG ")
        sign_up(client, "news")
    (notice,) = scene.notices()
    assert notice.asked == 50
    assert db.session.query(ConsentRecord).filter_by(contact_id=newcomer().id).count() == 1
    for topics in (["offers"], ["events"], ["news", "events"], ["offers", "events"]):
        sign_up(client, *topics)
    assert len(scene.notices()) == 3
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
        sign_up(client, "news")
        assert len(scene.notices()) == 4


def test_a_network_that_asks_too_often_is_told_to_wait(client: FlaskClient, scene: Scene) -> None:
    """S67."""
    limiter.enabled = True
    statuses = [client.post("/subscribe", data={"email": f"n{n}@example.org"}).status_code for n in range(22)]
    assert statuses == [400] * 20 + [429] * 2
    assert client.get("/subscribe").status_code == 200


def test_a_network_of_ipv6_is_counted_as_one_however_many_addresses_it_has(client: FlaskClient, scene: Scene) -> None:
    limiter.enabled = True
    for number in range(25):
        where = {"REMOTE_ADDR": f"2001:db8:1:2::{number:x}"}
        last = client.post("/link", data={"email": NEW}, environ_base=where)
    assert last.status_code == 429


def test_a_program_that_fills_the_trap_is_thanked_and_ignored(client: FlaskClient, scene: Scene) -> None:
    before = digest()
    assert "Check your inbox" in sign_up(client, "news", website="http://spam.example")
    assert digest() == before


def test_a_sign_up_moves_nobody_who_is_on(client: FlaskClient, scene: Scene) -> None:
    sign_up(client, "news", "events", email="anna@example.org")
    assert scene.on() == {"news", "offers"}
    (notice,) = scene.notices()
    assert notice.payload["topics"] == ["events"]


def test_the_link_page_answers_everybody_the_same(client: FlaskClient, scene: Scene) -> None:
    assert client.get("/link").status_code == 200
    known = client.post("/link", data={"email": "anna@example.org"})
    unknown = client.post("/link", data={"email": "who@example.org"})
    assert (known.status_code, unknown.status_code) == (200, 200)
    assert known.text.replace("anna@", "") == unknown.text.replace("who@", "")
    assert [n.state for n in scene.notices()] == [NoticeState.queued] and scene.dropped() == [Kind.new_link]
    client.post("/link", data={"email": "anna@example.org"})
    assert [n.asked for n in scene.notices()] == [2]
    wrong = client.post("/link", data={"email": "nobody"})
    assert wrong.status_code == 400 and 'id="email-fault"' in wrong.text


def test_a_stranger_does_not_learn_who_is_a_child(client: FlaskClient, scene: Scene) -> None:  # S66, S79
    with transaction():
        db.session.add(Attribute(key="age", name="Age", kind=AttributeKind.number, created_at=clock.now()))
        make.contact("child@example.org", attributes={"age": 9})
    known, unknown = (
        sign_up(client, "news", email="child@example.org"),
        sign_up(client, "news", email="other@example.org"),
    )
    assert _alike(known) == _alike(unknown)
    assert [notice.state for notice in scene.notices()] == [NoticeState.queued]
    assert scene.dropped() == [Kind.confirm_subscription]


def _alike(page: str) -> str:
    return re.sub(r'value="[^"]*"|(child|other)@example\.org', "", page)


def test_the_link_comes_a_few_times_a_day_at_most(client: FlaskClient, scene: Scene) -> None:  # S67
    start = datetime(2026, 12, 1, tzinfo=UTC)
    for time in range(22):
        with time_machine.travel(start + timedelta(minutes=65 * time), tick=False):
            client.post("/link", data={"email": "anna@example.org"})
    assert len(scene.notices()) == 5
