"""The figures of a campaign, which add up, and the people behind them."""

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import cast

import pytest
from babel.dates import format_datetime
from flask import Flask
from sqlalchemy import QueuePool

from preference_center import clock, config
from preference_center.accounts.audit import AuditEntry
from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery.events.models import PROVEN, SITE, DeliveryEvent, Effect
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.pace.paces import Pace
from preference_center.delivery.queries import Figures
from preference_center.delivery.results import foretelling
from preference_center.delivery.results.attempts import Attempt
from preference_center.delivery.results.tracking import TrackedMessage
from preference_center.providers.base import Kind
from preference_center.topics.models import Topic
from preference_center.web.admin.planning import progress
from tests.web.admin.conftest import SITE as HERE
from tests.web.admin.conftest import Console, words


@pytest.fixture
def path(people: Topic) -> str:
    """A campaign on its way to three of five people."""
    with transaction():
        made = scheduling.create("Autumn", people, "Autumn", "markdown", "Hello\n")
        scheduling.schedule(made, clock.now())
    with transaction():
        scheduling.start_due(clock.now() + timedelta(seconds=1))
    with transaction():
        outbox.fill_range(made.id)
    return f"/admin/campaigns/{made.public_id}"


def _end(state: MessageState, **more: object) -> None:
    """One of the waiting messages ends like this."""
    with transaction():
        message = db.session.query(Message).filter_by(state=MessageState.queued).order_by(Message.id).first()
        assert message
        message.state = state
        for name, value in more.items():
            setattr(message, name, value)


def _figures(html: str) -> tuple[int, int]:
    """(the sum of the rows, the total at the foot) of the table."""
    table = html[html.index('<table class="sum"') :].partition("</table>")[0]
    body, _, foot = table.partition("<tfoot>")
    numbers = [int(number) for number in re.findall(r'class="number">(?:<a[^>]*>)?(\d+)', body)]
    return sum(numbers), int(re.findall(r'class="number">(\d+)', foot)[0])


def test_the_figures_add_up_at_every_moment(viewer: Console, path: str) -> None:
    for state in (None, MessageState.sent, MessageState.uncertain, MessageState.failed):
        if state:
            _end(state)
        assert _figures(viewer.get(f"{path}/progress").get_data(as_text=True)) == (5, 5)


def test_the_page_says_how_far_it_is_also_in_its_title(viewer: Console, path: str) -> None:
    _end(MessageState.sent)
    html = viewer.get(f"{path}/progress").get_data(as_text=True)
    assert "<title>60 % · Autumn" in " ".join(html.split())
    assert "3 of 5 are through, 2 wait." in words(viewer.get(f"{path}/progress"))
    assert "skipped: gave no consent for this topic 2" in words(viewer.get(f"{path}/progress"))


def test_a_relay_that_rests_is_said_in_its_own_words(viewer: Console, path: str) -> None:  # screens.md 4.5
    with transaction():
        for domain, words_ in (("", "421 too many from you"), ("example.org", "450 4.7.28 rate limited")):
            rests = clock.now() + timedelta(minutes=10)
            db.session.add(
                Pace(relay="relay", domain=domain, paused_until=rests, reason=words_, changed_at=clock.now())
            )
    text = viewer.text(f"{path}/progress")
    assert "The relay takes nothing for now; mail waits until" in text and "It said: 421 too many from you" in text
    assert "example.org asks us to slow down" in text and "450 4.7.28 rate limited" in text
    with transaction():
        db.session.query(Pace).update({"paused_until": clock.now()})
    assert "takes nothing for now" not in viewer.text(f"{path}/progress")


def test_it_is_told_how_long_the_rest_takes_once_that_can_be_known(app: Flask, path: str) -> None:
    campaign = queries.by_public_id(path.rpartition("/")[2])
    begun = campaign.started_at or clock.now()
    later = begun + timedelta(minutes=10)
    assert foretelling.rest_takes(campaign, Figures(sent=200, queued=100), later) == timedelta(minutes=5)
    assert foretelling.rest_takes(campaign, Figures(sent=99, queued=100), later) is None, "too few to tell"
    assert foretelling.rest_takes(campaign, Figures(sent=200), later) is None, "nothing waits"


def test_who_agreed_to_be_seen_is_counted_in_the_report_and_nobody_else(viewer: Console, path: str) -> None:
    for _ in range(3):
        _end(MessageState.delivered)
    campaign = queries.by_public_id(path.rpartition("/")[2])
    with transaction():
        queries.by_public_id(campaign.public_id).finish(clock.now())
    assert "agreed to be seen" not in viewer.text(f"{path}/progress")
    with transaction():
        got = db.session.query(Message).filter_by(state=MessageState.delivered).order_by(Message.id).all()
        for number, message in enumerate(got[:2]):
            db.session.add(TrackedMessage(id=f"{number:026}", message_id=message.id, contact_id=message.contact_id))
        for number, (kind, machine) in enumerate(
            ((Kind.opened, None), (Kind.opened, "prefetch"), (Kind.clicked, None))
        ):
            message = got[0] if number != 1 else got[1]
            db.session.add(
                DeliveryEvent(
                    source=SITE, key=str(number), kind=kind, message_id=message.id, machine=machine,
                    matched_by=PROVEN[0], effect=Effect.applied, occurred_at=clock.now(), received_at=clock.now(),
                )
            )  # fmt: skip
    assert "Of the 2 who agreed to be seen, 1 opened it and 1 followed a link." in viewer.text(f"{path}/progress")


def test_a_report_tells_who_left_since_and_stands_beside_the_last_one(
    viewer: Console, path: str, people: Topic
) -> None:
    for _ in range(3):
        _end(MessageState.sent)
    with transaction():
        campaign = queries.by_public_id(path.rpartition("/")[2])
        campaign.started_at = clock.now() - timedelta(minutes=1)
        campaign.finish(clock.now())
        before = scheduling.create("Summer", people, "Summer", "markdown", "Hello")
        before.state, before.started_at = CampaignState.sent, clock.now() - timedelta(days=30)
        got = db.session.query(Message).filter_by(state=MessageState.sent).order_by(Message.id).first()
        assert got
        ledger.withdraw(db.session.get_one(Contact, got.contact_id), people, Evidence("link"))
    text = viewer.text(f"{path}/progress")
    assert "1 person who got it has left this topic since." in text
    assert "Autumn (this one)" in text and "3 0 (0.0 %) 0 (0.0 %) 1 (33.3 %)" in text
    assert "Summer" in text.partition("Autumn (this one)")[2]


def test_only_a_page_that_moves_carries_the_script(app: Flask, viewer: Console, path: str) -> None:
    assert "js/admin.js" in viewer.get(f"{path}/progress").get_data(as_text=True)
    for _ in range(3):
        _end(MessageState.sent)
    with transaction():
        db.session.query(Campaign).one().finish(clock.now())
    html = viewer.get(f"{path}/progress").get_data(as_text=True)
    assert "js/admin.js" not in html
    assert "3 of 5 were handed to the relay" in html


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_a_page_moves_as_long_as_mail_is_on_its_way(marketer: Console, path: str, verb: str) -> None:
    _end(MessageState.sending)
    _end(MessageState.sent)
    marketer.get(f"{path}/progress")
    marketer.post(f"{path}/{verb}")
    html = marketer.get(f"{path}/progress").get_data(as_text=True)
    assert "data-live" in html and "js/admin.js" in html and "This page keeps itself up to date" in html
    with transaction():
        db.session.query(Message).filter_by(state=MessageState.sending).update({"state": MessageState.sent})
        if verb == "cancel":
            db.session.query(Message).filter_by(state=MessageState.queued).update({"state": MessageState.skipped})
    html = marketer.get(f"{path}/progress").get_data(as_text=True)
    assert "data-live" not in html and "js/admin.js" not in html


def test_a_pause_of_the_sender_gives_its_reason(viewer: Console, path: str) -> None:
    with transaction():
        campaign = queries.by_public_id(path.rpartition("/")[2])
        scheduling.pause(campaign, "The relay refused our login.")
    assert "The relay refused our login." in viewer.text(f"{path}/progress")
    assert "The relay refused our login." in viewer.text("/admin/")


def test_buttons_are_for_those_who_may_send(viewer: Console, marketer: Console, path: str) -> None:
    assert "Pause" in marketer.text(f"{path}/progress")
    assert "Cancel the rest" in marketer.text(f"{path}/progress")
    assert "Pause" not in viewer.text(f"{path}/progress")


def test_behind_each_figure_stand_the_people(marketer: Console, path: str) -> None:
    _end(MessageState.failed, reason="mailbox", reply="no such mailbox", reply_code=550)
    assert "550 no such mailbox" in marketer.text(f"{path}/people?state=failed")
    skipped = marketer.text(f"{path}/people?state=skipped&reason=no_consent")
    assert "dag@example.org" in skipped and "eva@example.org" in skipped and "anna@example.org" not in skipped


def test_each_row_says_what_allowed_it_and_how_often_it_was_tried(marketer: Console, path: str) -> None:
    _end(MessageState.sent, attempt=3)
    record = db.session.query(ConsentRecord).order_by(ConsentRecord.id).first()
    assert record
    [row] = re.findall(
        r"<tr>.*?</tr>", marketer.get(f"{path}/people?state=sent").get_data(as_text=True).partition("<tbody>")[2], re.S
    )
    assert record.public_id in row and "sign-up form" in row and 'class="number">3<' in row
    skipped = marketer.text(f"{path}/people?state=skipped")
    assert record.public_id not in skipped and "nothing" in skipped


def test_a_row_shows_every_try_and_what_the_relay_said(marketer: Console, path: str) -> None:
    _end(MessageState.sent, attempt=2, reply_code=250)
    with transaction():
        message = db.session.query(Message).filter_by(state=MessageState.sent).one()
        db.session.add(
            Attempt(
                message_id=message.id, contact_id=message.contact_id, number=1, reply_code=450,
                reply="rcpt: come back later", at=clock.now(),
            )
        )  # fmt: skip
    [row] = re.findall(r"<li value=.*?</ol>", marketer.get(f"{path}/people").get_data(as_text=True), re.S)
    assert "450 rcpt: come back later" in row and "250" in row
    lines = _file(marketer, f"{path}/people.csv", state="sent")
    assert [line["replies"] for line in lines] == ["450 rcpt: come back later | 250"]


@pytest.mark.parametrize(
    ("state", "attempt", "kept"),
    [
        (MessageState.sending, 2, {"reply_code": 450, "reply": "rcpt: come back later"}),  # the next try is under way
        (MessageState.queued, 1, {}),  # the next try never began
    ],
)
def test_what_the_relay_said_last_stays_with_its_own_try(
    marketer: Console, path: str, state: MessageState, attempt: int, kept: dict[str, object]
) -> None:
    _end(state, attempt=attempt, **kept)
    with transaction():
        message = db.session.query(Message).filter_by(attempt=attempt).one()
        told = {"reply_code": 450, "reply": "rcpt: come back later", "number": 1, "at": clock.now()}
        db.session.add(Attempt(message_id=message.id, contact_id=message.contact_id, **told))
    html = marketer.get(f"{path}/people?state={state}").get_data(as_text=True)
    [row] = re.findall(r"<tr>(?:(?!</tr>).)*come back later.*?</tr>", html, re.S)
    assert row.count("450 rcpt: come back later") == 1
    assert ('<li value="1">' in row) == (attempt != 1), "of which try it is, where that is not the last"
    said = [line["replies"] for line in _file(marketer, f"{path}/people.csv", state=state)]
    assert said.count("450 rcpt: come back later") == 1 and not any(" | " in each for each in said)


def _file(console: Console, address: str, **wanted: str) -> list[dict[str, str]]:
    """As behind a real server: no context of the test's stands around the request, so its own is gone when the lines are made."""
    cookie = console.client.get_cookie("__Host-session", "mail.example.com")
    assert cookie

    def take() -> str:
        client = console.client.application.test_client()
        client.set_cookie("__Host-session", cookie.value, domain="mail.example.com", secure=True)
        answer = client.post(address, data={"csrf_token": console.token} | wanted, base_url=HERE)
        assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
        return answer.get_data(as_text=True)

    with ThreadPoolExecutor(1) as outside:
        return list(csv.DictReader(io.StringIO(outside.submit(take).result())))


def test_the_rows_can_be_taken_along_as_a_file(  # screens.md 4.6: the export respects the role
    monkeypatch: pytest.MonkeyPatch, marketer: Console, viewer: Console, path: str
) -> None:
    _end(MessageState.failed, reason="refused", reply="=cmd()", attempt=1)
    monkeypatch.setattr(progress, "AT_ONCE", 2)
    marketer.get(f"{path}/people")
    lines = _file(marketer, f"{path}/people.csv")
    assert sorted(line["email"] for line in lines) == [
        f"{name}@example.org" for name in ("anna", "bo", "cai", "dag", "eva")
    ]
    assert [line["replies"] for line in lines if line["state"] == "failed"] == ["'=cmd()"], "no formula"
    record = db.session.query(ConsentRecord).order_by(ConsentRecord.id).first()
    assert record and record.public_id in {line["record"] for line in lines}
    assert {line["reason"] for line in _file(marketer, f"{path}/people.csv", state="skipped")} == {"no_consent"}
    viewer.get(f"{path}/people")
    assert all("•••" in line["email"] for line in _file(viewer, f"{path}/people.csv"))
    assert db.session.query(AuditEntry).filter_by(action="campaign.people_exported").count() == 3


@pytest.mark.both_databases
def test_who_takes_the_file_slowly_holds_nothing_open_in_the_database(
    monkeypatch: pytest.MonkeyPatch, marketer: Console, path: str
) -> None:
    monkeypatch.setattr(progress, "AT_ONCE", 2)
    marketer.get(f"{path}/people")
    answer = marketer.client.post(f"{path}/people.csv", data={"csrf_token": marketer.token}, base_url=HERE)
    db.session.rollback()
    held, pool = [], cast(QueuePool, db.engine.pool)
    for _line in answer.iter_encoded():
        held.append(pool.checkedout())
    assert held == [0] * 6, "the names of the columns, and five people"


def test_a_viewer_sees_them_masked(viewer: Console, path: str) -> None:
    text = viewer.text(f"{path}/people")
    assert "a•••@example.org" in text and "anna@" not in text


@pytest.mark.parametrize(
    "query", ["state=nonsense", "reason=<script>", "after=x", "after=-1", "state=sent&state=failed"]
)
def test_a_made_up_filter_does_no_harm(viewer: Console, path: str, query: str) -> None:
    answer = viewer.get(f"{path}/people?{query}")
    assert answer.status_code == 200
    assert b"<script>" not in answer.data


@pytest.mark.only_postgresql
def test_what_no_database_can_hold_is_refused_and_no_fault_of_ours(marketer: Console, path: str) -> None:
    for made_up in (f"{path}/people?reason=%00", "/admin/campaigns/%00", "/admin/segments/%00", "/subscribe/%00"):
        assert marketer.get(made_up).status_code in (400, 404), made_up
    marketer.get("/admin/campaigns/new")
    form = {"name": "N", "topic": "news", "subject": "S", "format": "markdown", "source": "x", "segment": "a\0"}
    assert "means nothing here" in words(marketer.post("/admin/campaigns/new", form))


def test_home_shows_what_goes_on(viewer: Console, path: str) -> None:
    text = viewer.text("/admin/")
    assert "Autumn Sending 2 of 5 are through" in text


def test_an_unknown_campaign_has_no_progress(viewer: Console) -> None:
    assert viewer.get("/admin/campaigns/aaaaaaaaaaaaaaaa/progress").status_code == 404
    assert viewer.get("/admin/campaigns/aaaaaaaaaaaaaaaa/people").status_code == 404


def test_what_was_set_otherwise_since_the_approval_is_said(app: Flask, viewer: Console, path: str) -> None:  # P7
    said = "These mails say what was approved. Set otherwise since: the postal address."
    assert "These mails say what was approved" not in viewer.text(f"{path}/progress")
    app.extensions["settings"] = config.with_(app.extensions["settings"], postal_address="9 Short Street")
    assert said in viewer.text(f"{path}/progress")
    with transaction():
        scheduling.cancel(queries.by_public_id(path.rpartition("/")[2]))
    assert said not in viewer.text(f"{path}/progress"), "nothing more leaves"


def _trying(topic: Topic, metric: str) -> Campaign:
    """A campaign of which two of three people try two contents, and the wait is not over."""
    plan = {"share": 60, "metric": metric, "wait_minutes": 60, "variants": [{"subject": "Other"}]}
    with transaction():
        made = scheduling.create("Autumn", topic, "Autumn", "markdown", "Hello\n", experiment=plan)
        scheduling.schedule(made, clock.now())
    with transaction():
        scheduling.start_due(clock.now() + timedelta(seconds=1))
        outbox.fill_range(made.id)
    with transaction():
        db.session.query(Campaign).one().decide_at = clock.now() + timedelta(hours=1)
    return made


def _wait_over(campaign: Campaign) -> None:
    with transaction():
        found = db.session.get_one(Campaign, campaign.id)
        found.decide_at, found.last_wave_at = clock.now() - timedelta(minutes=1), clock.now() + timedelta(days=7)


def test_what_a_person_chooses_is_said_to_wait_for_one(marketer: Console, people: Topic) -> None:
    campaign = _trying(people, "person")
    page = f"/admin/campaigns/{campaign.public_id}/progress"
    text = marketer.text(page)
    assert "The winner is chosen" not in text and "One of you chooses what goes to everybody else" in text
    assert "waits for one of you" not in marketer.text("/admin/"), "not before the wait is over"
    _wait_over(campaign)
    last = format_datetime(clock.now() + timedelta(days=8), "d MMM y", locale="en")
    for shown in (marketer.text(page), marketer.text("/admin/")):
        assert "for one of you to choose" in shown and f"If nobody does, they get nothing after {last}" in shown
    marketer.get(page)
    marketer.post(page.replace("progress", "pick/B"))
    assert "B was chosen and goes to everybody else." in marketer.text(page)
    assert "for one of you to choose" not in marketer.text("/admin/")


def test_where_a_trial_ended_without_a_winner_nothing_is_to_be_chosen(marketer: Console, people: Topic) -> None:
    campaign = _trying(people, "person")
    _wait_over(campaign)
    with transaction():
        scheduling.cancel(db.session.get_one(Campaign, campaign.id))
    text = marketer.text(f"/admin/campaigns/{campaign.public_id}/progress")
    assert "No winner was chosen." in text and "to the rest" not in text
    assert "for one of you to choose" not in marketer.text("/admin/")


def test_a_winner_without_figures_did_not_win(marketer: Console, people: Topic) -> None:
    campaign = _trying(people, "clicked")
    page = f"/admin/campaigns/{campaign.public_id}/progress"
    assert "Without figures by then, A goes to everybody else." in marketer.text(page)
    with transaction():
        db.session.get_one(Campaign, campaign.id).winner = 0
    text = marketer.text(page)
    assert "No figures: A goes to everybody else." in text and "won" not in text
