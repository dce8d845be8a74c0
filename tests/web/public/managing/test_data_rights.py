"""Your data: asked for by mail, seen, downloaded, corrected, restricted, objected to, erased; each link short-lived and used once."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from preference_center import clock
from preference_center.consent import eligibility, ledger
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Cadence
from preference_center.contacts import addresses
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, transaction
from preference_center.notices.models import Kind, NoticeState
from preference_center.privacy import export
from preference_center.privacy.models import DataRequest, RequestKind, RequestState
from preference_center.signed_links import Power, ring
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.web.public.managing import data_words
from tests.support import links, make, shop
from tests.support.database_hash import digest
from tests.web.public.conftest import Scene


@pytest.fixture
def path(client: FlaskClient, scene: Scene) -> str:
    """Anna's link, asked for on the open page."""
    client.post("/data", data={"email": "anna@example.org"})
    return links.rights(scene.anna)


def press(client: FlaskClient, path: str, act: str, **fields: str) -> TestResponse:
    """The button of the page, with the page's own proof."""
    found = re.search(r'name="proof" type="hidden" value="([0-9a-f]+)"', client.get(path).text)
    return client.post(path, data={"act": act, "proof": found[1] if found else "", **fields})


def anna(scene: Scene) -> Contact:
    db.session.rollback()
    return db.session.query(Contact).filter_by(public_id=scene.anna.public_id).one()


def requests() -> list[tuple[RequestKind, str]]:
    db.session.rollback()
    found = db.session.query(DataRequest).order_by(DataRequest.id).all()
    assert all(one.state is RequestState.done and one.closed_at is not None for one in found)
    return [(one.kind, one.detail) for one in found]


# Asking


def test_the_answer_is_the_same_for_every_address(client: FlaskClient, scene: Scene) -> None:
    """S66 for this page: known, unknown, erased."""
    with transaction():
        make.contact("gone@example.org", erased_at=clock.now())
    pages = {}
    for address in ("anna@example.org", "gone@example.org", "nobody@example.org"):
        answer = client.post("/data", data={"email": address, "opens": "data"})
        pages[answer.status_code, answer.text.replace(address, "x")] = address
    assert len(pages) == 1
    states = [(notice.kind, notice.state) for notice in scene.notices()]
    assert states == [(Kind.rights_link, NoticeState.queued)]
    assert scene.dropped() == [Kind.rights_link] * 2


@pytest.mark.parametrize("typed", ["", "anna", "a@b", "anna@example.org\r\nBcc: x@example.com", "x" * 400])
def test_a_wrong_address_is_told_beside_the_field(client: FlaskClient, scene: Scene, typed: str) -> None:
    answer = client.post("/data", data={"email": typed})
    assert answer.status_code == 400
    assert "<title>Error:" in answer.text and 'aria-invalid="true"' in answer.text
    assert scene.notices() == []


def test_one_mail_is_enough_while_its_link_is_unused(client: FlaskClient, scene: Scene) -> None:
    for _ in range(5):
        client.post("/data", data={"email": "anna@example.org"})
    (notice,) = scene.notices()
    assert notice.asked == 5


def test_nobody_gets_more_than_ten_a_day(client: FlaskClient, scene: Scene) -> None:
    start = datetime(2026, 9, 1, 8, tzinfo=UTC)
    for minutes in range(0, 200, 10):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            client.post("/data", data={"email": "anna@example.org"})
    assert len(scene.notices()) == 10


def test_from_the_preference_page_the_link_goes_to_the_mailbox(client: FlaskClient, scene: Scene) -> None:
    """S53: the link of a forwarded mail shows the address masked and opens no data."""
    page = links.manage(scene.anna)
    shown = client.get(page).text
    assert "See, download or delete what we hold" in shown and "anna@example.org" not in shown
    proof = re.search(r'name="proof" type="hidden" value="([0-9a-f]+)"', shown)
    assert proof
    answer = client.post(f"{page}/data", data={"proof": proof[1], "opens": "address"})
    assert answer.status_code == 200
    assert "anna@example.org" not in answer.text and "a•••@example.org" in answer.text and "/d/" not in answer.text
    (notice,) = scene.notices()
    assert (notice.kind, notice.payload) == (Kind.rights_link, {"opens": "address"})


def test_without_the_pages_proof_nothing_is_mailed(client: FlaskClient, scene: Scene) -> None:
    page = links.manage(scene.anna)
    assert client.post(f"{page}/data", data={"opens": "data"}).status_code == 303
    assert client.post(f"{page}/data", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert scene.notices() == []


# The link


def test_looking_changes_nothing_however_often(client: FlaskClient, path: str) -> None:
    before = digest()
    for _ in range(3):
        for place in (path, f"{path}?show=delete", f"{path}?show=address"):
            assert client.get(place).status_code == client.head(place).status_code == 200
    assert digest() == before


def test_a_forged_or_expired_or_used_link_gets_one_answer(client: FlaskClient, scene: Scene, path: str) -> None:
    """S41."""
    token = path.removeprefix("/d/")
    other = ring().sign(Power.rights, [scene.anna.public_id, "data", "another nonce"])
    manage = ring().sign(Power.manage, [scene.anna.public_id, 0])
    widened = ring().sign(Power.rights, [scene.anna.public_id, "data", 7])
    pages = {client.get(f"/d/{one}").text for one in (token[:-2], other, manage, widened, "x")}
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
        pages.add(client.get(path).text)
    assert press(client, path, "object").status_code == 200
    answer = client.get(path)
    assert answer.status_code == 404
    assert pages == {answer.text}


def test_a_link_of_somebody_else_opens_nothing(client: FlaskClient, scene: Scene, path: str) -> None:
    with transaction():
        bo = make.contact("bo@example.org")
    nonce = ring().read(Power.rights, path.removeprefix("/d/"))[2]
    assert client.get(f"/d/{ring().sign(Power.rights, [bo.public_id, 'data', nonce])}").status_code == 404


def test_a_link_acts_once(client: FlaskClient, scene: Scene, path: str) -> None:
    proof = re.search(r'name="proof" type="hidden" value="([0-9a-f]+)"', client.get(path).text)
    assert proof
    answers = [client.post(path, data={"act": "restrict", "proof": proof[1]}).status_code for _ in range(3)]
    assert answers == [200, 404, 404]
    assert requests() == [(RequestKind.restriction, "")]


@pytest.mark.parametrize("fields", [{}, {"act": "erase"}, {"act": "erase", "proof": "x"}, {"act": "nonsense"}])
def test_an_incomplete_form_changes_nothing(client: FlaskClient, path: str, fields: dict[str, str]) -> None:
    before = digest()
    assert client.post(path, data=fields).status_code == 400
    assert client.post(path, data=fields, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert digest() == before


def test_a_link_for_the_address_shows_and_erases_nothing(client: FlaskClient, scene: Scene) -> None:
    client.post("/data", data={"email": "anna@example.org", "opens": "address"})
    path = links.rights(scene.anna, "address")
    page = client.get(path).text
    assert "Your new email address" in page and "What we hold" not in page
    assert press(client, path, "json").status_code == press(client, path, "erase").status_code == 400
    widened = path.removeprefix("/d/")
    nonce = ring().read(Power.rights, widened)[2]
    assert client.get(f"/d/{ring().sign(Power.rights, [scene.anna.public_id, 'data', nonce])}").status_code == 404
    assert requests() == []


# Seeing and taking along


def test_everything_is_shown_in_plain_groups(client: FlaskClient, scene: Scene, path: str) -> None:
    """S96."""
    page = client.get(path).text
    heading = "Emails we sent you"
    for words in ("About you", "anna@example.org", "Product news", "Emails we sent you", "agreed", "Who gets it"):
        assert words in page
    assert "<dt><code>address_hash</code></dt>" in page
    mail = {"subject": '{{ first_name|default("You") }}, hello', "state": "sent", "changed_at": clock.now().isoformat()}
    (sent,) = [group for group in data_words.groups(scene.anna, {"messages": [mail]}) if group.title == heading]
    assert [words for _at, words in sent.lines] == ["…, hello: sent"]


def test_all_that_was_said_is_told_in_words_with_who_gets_it_and_how_long(
    app: Flask, client: FlaskClient, scene: Scene, path: str
) -> None:  # S96
    settings = replace(app.extensions["settings"], recipients="Carrier GmbH; Printer SL")
    app.extensions["settings"] = settings
    with transaction():
        catalogue.offer_cadence(scene.topics["news"], True)
        ledger.renew(scene.anna, scene.topics["news"], Evidence("link"))
        ledger.set_cadence(scene.anna, scene.topics["news"], Cadence.weekly, Evidence("link"))
    page = client.get(path + "?lang=pl").text
    assert "Product news: przedłużone" in page and "Product news: najwyżej raz w tygodniu" in page
    assert "oraz: Carrier GmbH, Printer SL" in page and "1095 dni po zakończeniu" in page
    held = export.of(scene.anna)
    assert held["recipients"][1:] == ["Carrier GmbH", "Printer SL"] and "1095 days" in held["kept"]["contacts"]
    shown = {name for group in data_words.groups(scene.anna, held["held"]) for name in group.stored}
    assert shown == set(held["held"])


def test_the_page_speaks_the_persons_language(client: FlaskClient, scene: Scene) -> None:
    """S96."""
    with transaction():
        polish = shop.customer(scene.topics, "news", email="p@example.org", language="pl")
    client.post("/data", data={"email": "p@example.org"})
    path = links.rights(polish)
    assert "Twoje dane" in client.get(path).text
    answer = press(client, path, "html")
    assert 'lang="pl"' in answer.text and "Twoje dane" in answer.text
    assert "twoje-dane-" in answer.headers["Content-Disposition"]


@pytest.mark.both_databases
def test_the_file_for_programs_holds_everything_and_itself(client: FlaskClient, scene: Scene, path: str) -> None:
    """S95."""
    answer = press(client, path, "json")
    assert answer.status_code == 200 and answer.mimetype == "application/json"
    assert re.fullmatch(r'attachment; filename="your-data-[0-9-]+\.json"', answer.headers["Content-Disposition"])
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Robots-Tag"] == "noindex"
    held = json.loads(answer.text)["held"]
    assert held["contacts"][0]["email"] == "anna@example.org"
    assert [row["action"] for row in held["consent_records"]] == ["given", "given"]
    assert [(row["kind"], row["detail"]) for row in held["data_requests"]] == [("access", "json")]


def test_the_file_to_read_is_whole_and_loads_nothing(client: FlaskClient, path: str) -> None:
    answer = press(client, path, "html")
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert "anna@example.org" in answer.text and "<code>consent_records</code>" in answer.text
    assert not re.search(r"<link|<script|<img|src=|url\(", answer.text)


def test_each_file_comes_once(client: FlaskClient, path: str) -> None:
    for act in ("json", "html"):
        assert press(client, path, act).status_code == 200
        again = press(client, path, act)
        assert again.status_code == 409 and "Content-Disposition" not in again.headers
    assert requests() == [(RequestKind.access, "json"), (RequestKind.access, "html")]


def test_after_downloading_one_can_still_act(client: FlaskClient, scene: Scene, path: str) -> None:
    press(client, path, "json")
    assert press(client, path, "erase").status_code == 200
    assert anna(scene).erased_at is not None


# Stopping


def reason(scene: Scene, key: str = "news") -> str | None:
    db.session.rollback()
    return eligibility.verdict(scene.topics[key], anna(scene), clock.now()).reason


def test_objecting_stops_all_marketing(client: FlaskClient, scene: Scene, path: str) -> None:
    """GDPR 21(2), (3)."""
    answer = press(client, path, "object")
    assert answer.status_code == 200 and "no longer use your data for advertising" in answer.text
    assert scene.on() == set() and reason(scene) == Reason.objected
    assert {(r.purpose_key, r.action) for r in scene.records()} == {
        (purpose, "objected") for purpose in ("email_marketing", "profiling", "phone", "sms", "post")
    }
    assert requests() == [(RequestKind.objection, "")]


def test_restricting_stops_every_use_and_can_be_ended(client: FlaskClient, scene: Scene, path: str) -> None:
    """S100."""
    press(client, path, "restrict")
    assert reason(scene) == Reason.restricted
    client.post("/data", data={"email": "anna@example.org"})
    again = links.rights(scene.anna)
    assert "The use of your data is restricted." in client.get(again).text
    assert press(client, again, "restrict").status_code == 409, "and the link was not used up by it"
    assert press(client, again, "lift").status_code == 200
    assert reason(scene) is None
    assert requests() == [(RequestKind.restriction, ""), (RequestKind.restriction_lifted, "")]


# Erasing


def test_the_page_says_what_goes_and_what_stays_before_it_goes(client: FlaskClient, scene: Scene, path: str) -> None:
    page = client.get(f"{path}?show=delete").text
    assert "What is deleted" in page and "What stays, and why" in page and "cannot be undone" in page
    assert page.count("<button") == 1


@pytest.mark.both_databases
def test_an_erased_person_is_answered_as_usual(client: FlaskClient, scene: Scene, path: str) -> None:
    """S38, S97: old unsubscribe links work, the preference page and this link are gone."""
    manage, leave = links.manage(scene.anna), links.unsub(scene.anna, scene.topics["news"])
    answer = press(client, path, "erase")
    assert answer.status_code == 200 and "Reference of your request" in answer.text
    assert "anna@" not in answer.text
    assert (anna(scene).email, anna(scene).address_hash) == (None, None)
    assert client.get(path).status_code == client.get(manage).status_code == 404
    for _ in range(2):
        one_click = client.post(leave, data={"List-Unsubscribe": "One-Click"})
        assert (one_click.status_code, one_click.mimetype) == (200, "text/plain")
    assert client.get(leave).status_code == 200
    assert register.standing([addresses.parse("anna@example.org").hash]) != {}


# A new address


def changes() -> list[AddressChange]:
    db.session.rollback()
    return db.session.query(AddressChange).all()


@pytest.fixture
def change(client: FlaskClient, path: str) -> AddressChange:
    """Anna asked for anna@new.example.com."""
    assert press(client, path, "address", email=" Anna@New.example.com ").status_code == 200
    (made,) = changes()
    return made


def confirmation(scene: Scene, change: AddressChange, kind: str = "address") -> str:
    return f"/c/{ring().sign(Power.confirm, [scene.anna.public_id, kind, change.public_id])}"


def test_nothing_changes_before_the_new_address_says_yes(
    client: FlaskClient, scene: Scene, change: AddressChange
) -> None:
    """S99."""
    assert anna(scene).email == "anna@example.org"
    assert [notice.kind for notice in scene.notices()] == [Kind.rights_link, Kind.confirm_address]
    before = digest()
    page = client.get(confirmation(scene, change))
    assert page.status_code == 200 and "Is this your new address?" in page.text
    assert "anna@example.org" not in page.text and "a•••@example.org" not in page.text, "it may be a stranger's mailbox"
    assert digest() == before


@pytest.mark.both_databases
def test_once_confirmed_the_new_address_is_in_force(client: FlaskClient, scene: Scene, change: AddressChange) -> None:
    """S99: choices come along, old links end, the old address is told and not mailed any more."""
    manage, leave = links.manage(scene.anna), links.unsub(scene.anna, scene.topics["news"])
    client.post(links.unsub(scene.anna, scene.topics["offers"]), data={"List-Unsubscribe": "One-Click"})
    answer = client.post(confirmation(scene, change))
    assert answer.status_code == 200 and "Our emails come here from now on" in answer.text
    assert anna(scene).email == "Anna@new.example.com"
    assert scene.on() == {"news"} and reason(scene) is None and reason(scene, "offers") == Reason.withdrawn
    assert client.get(manage).status_code == 404
    assert client.post(leave, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert register.standing([change.old_hash]) == {change.old_hash: Cause.manual}
    assert [notice.kind for notice in scene.notices()][-1] == Kind.address_changed
    assert requests() == [(RequestKind.rectification, "")]
    with transaction():
        again = make.follower(make.topic("more", "More"), "anna@example.org")
        assert eligibility.verdict(scene.topics["news"], again, clock.now()).reason == Reason.suppressed_manual


def test_confirming_twice_changes_once(client: FlaskClient, scene: Scene, change: AddressChange) -> None:
    link = confirmation(scene, change)
    assert client.post(link).status_code == 200
    again = client.post(link)
    assert again.status_code == 409 and "This is confirmed already" in again.text
    assert "This is confirmed already" in client.get(link).text
    assert len(requests()) == 1


@pytest.mark.both_databases
def test_the_old_address_can_take_it_back(client: FlaskClient, scene: Scene, change: AddressChange) -> None:
    client.post(confirmation(scene, change))
    new_manage = links.manage(anna(scene))
    back = confirmation(scene, change, "address-back")
    assert "Take back the change of address?" in client.get(back).text
    assert client.post(back).status_code == 200
    assert anna(scene).email == "anna@example.org" and reason(scene) is None
    assert client.get(new_manage).status_code == 404
    assert client.post(back).status_code == 409
    assert client.post(confirmation(scene, change)).status_code == 409
    assert anna(scene).email == "anna@example.org"


def test_taking_back_ends_after_seven_days(client: FlaskClient, scene: Scene, change: AddressChange) -> None:
    client.post(confirmation(scene, change))
    back = confirmation(scene, change, "address-back")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=8)):
        expired = client.get(back)
        assert expired.status_code == 410 and "A change of address" in expired.text
        assert client.post(confirmation(scene, change, "address-back")).status_code == 409, "a fresh token helps nobody"
    assert anna(scene).email == "Anna@new.example.com"


def test_who_confirmed_a_sign_up_since_is_told_what_to_do(
    client: FlaskClient, scene: Scene, change: AddressChange
) -> None:
    client.post(confirmation(scene, change))
    with transaction():
        make.follower(catalogue.by_key("news"), "anna@example.org")
    answer = client.post(confirmation(scene, change, "address-back"))
    assert answer.status_code == 409 and "This address is in use by now" in answer.text


def test_an_address_in_use_gets_the_same_answer_and_no_mail(client: FlaskClient, scene: Scene, path: str) -> None:
    with transaction():
        make.contact("bo@example.org")
    proof = re.search(r'name="proof" type="hidden" value="([0-9a-f]+)"', client.get(path).text)
    assert proof
    taken = client.post(path, data={"act": "address", "proof": proof[1], "email": "bo@example.org"})
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        client.post("/data", data={"email": "anna@example.org"})
        free = press(client, links.rights(scene.anna), "address", email="free@example.org")
    assert taken.status_code == free.status_code == 200
    assert taken.text.replace("bo@", "x@") == free.text.replace("free@", "x@")
    assert len(changes()) == 1
    asked = [notice.state for notice in scene.notices() if notice.kind is Kind.confirm_address]
    assert asked == [NoticeState.queued] and scene.dropped() == [Kind.confirm_address]


def test_an_address_taken_in_the_meantime_is_left_alone(
    client: FlaskClient, scene: Scene, change: AddressChange
) -> None:
    with transaction():
        make.contact("anna@new.example.com")
    answer = client.post(confirmation(scene, change))
    assert answer.status_code == 409 and "changed in the meantime" in answer.text
    assert anna(scene).email == "anna@example.org"


@pytest.mark.parametrize("typed", ["", "nothing", "anna@example.org", "ANNA@example.org"])
def test_a_wrong_new_address_is_told_and_the_link_still_works(client: FlaskClient, path: str, typed: str) -> None:
    answer = press(client, path, "address", email=typed)
    assert answer.status_code == 400 and 'aria-invalid="true"' in answer.text
    assert client.get(path).status_code == 200


def test_strangers_are_not_flooded_by_changes_of_address(client: FlaskClient, scene: Scene) -> None:
    start = datetime(2026, 9, 1, 8, tzinfo=UTC)
    for minutes in range(0, 60, 10):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            client.post("/data", data={"email": "anna@example.org"})
            press(client, links.rights(scene.anna), "address", email="stranger@example.org")
    asked = [notice.state for notice in scene.notices() if notice.kind is Kind.confirm_address]
    assert asked.count(NoticeState.queued) == 3


def test_what_staff_noted_against_mail_goes_along(client: FlaskClient, scene: Scene, change: AddressChange) -> None:
    """Opt-outs are carried over, also those that stand on the address itself."""
    with transaction():
        register.suppress(change.old_hash, Cause.manual, "user:x")
    client.post(confirmation(scene, change))
    assert reason(scene) == Reason.suppressed_manual


def test_a_sign_ups_link_is_no_change_of_address(client: FlaskClient, scene: Scene, app: Flask) -> None:
    for carried in (["address", "nothing"], ["address-back", "nothing"], ["address", 7], ["other", "x"]):
        token = ring().sign(Power.confirm, [scene.anna.public_id, *carried])
        assert client.get(f"/c/{token}").status_code == client.post(f"/c/{token}").status_code == 404


def test_notices_carry_no_address_and_no_nonce(client: FlaskClient, scene: Scene, change: AddressChange) -> None:
    client.post(confirmation(scene, change))
    for notice in scene.notices():
        assert set(notice.payload) <= {"opens", "change"}
    assert len(scene.notices()) == 3


def test_what_lies_in_the_old_mailbox_opens_nothing_any_more(
    client: FlaskClient, scene: Scene, change: AddressChange
) -> None:
    """S53, S99: neither the link to the data nor a sign-up that was never confirmed."""
    client.post("/subscribe", data={"email": "anna@example.org", "topic": ["events"]})
    wish = links.confirm(scene.anna, scene.notices()[-1].payload["wish"])
    client.post("/data", data={"email": "anna@example.org"})
    rights = links.rights(scene.anna)
    assert client.get(rights).status_code == 200
    client.post(confirmation(scene, change))
    assert client.get(rights).status_code == 404
    assert "/p/" not in client.post(wish).text, "nor does it give the way to all choices"
    assert scene.on() == {"news", "offers"}
    client.post("/data", data={"email": "anna@new.example.com"})
    theirs = links.rights(scene.anna)
    assert client.get(theirs).status_code == 200
    client.post(confirmation(scene, change, "address-back"))
    assert client.get(theirs).status_code == 404, "it was a stranger's mailbox"
