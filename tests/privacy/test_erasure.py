"""Erased is erased: no table and no file still holds the address, the name or a token; and nobody is mailed again (P11, S97, S98)."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from preference_center import clock, signed_links
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.consent import eligibility, ledger, projection, standing
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord, State
from preference_center.contacts import addresses, imports
from preference_center.contacts.models import Contact, ImportState
from preference_center.db import Base, db, transaction
from preference_center.delivery import queries as delivery
from preference_center.delivery.models import Message, MessageState
from preference_center.errors import Conflict
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind, Notice, NoticeState
from preference_center.privacy import erasure, links
from preference_center.privacy.models import DataRequest, Opens, RequestKind, RequestState
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.purposes import LegalBasis
from tests.support import make

ADDRESS, NAME = "Zuzanna.Brzeczyszczykiewicz@example.org", "Brzęczyszczykiewicz"
BY_HER = Evidence("link", language="en", detail={"network": "203.0.113.77", "agent": "Zuzanna's browser"})


class Life:
    """A contact with something in every table, and files that hold her."""

    def __init__(self) -> None:
        self.topic = make.topic()
        self.contact = make.contact(
            ADDRESS, attributes={"last_name": NAME}, time_zone="Europe/Warsaw", jurisdiction="PL", source="import:x:7"
        )
        ledger.grant(self.contact, self.topic, LegalBasis.consent, BY_HER)
        campaign = scheduling.create("Autumn", self.topic, "Hello", "markdown", "Hello *you*.\n", actor="cli")
        db.session.flush()
        for number, state in enumerate([MessageState.queued, MessageState.sent, MessageState.bounced]):
            other = campaign if not number else self._campaign(number)
            said = f"550 no {NAME} here" if state is MessageState.bounced else None
            db.session.add(
                Message(
                    campaign_id=other.id, contact_id=self.contact.id, state=state, reply=said, changed_at=clock.now()
                )
            )
        self.campaign = campaign
        notices.owe(Kind.topic_turned_on, self.contact, {"topics": ["news"]})
        links.ask(self.contact, Opens.data)
        db.session.flush()

    def _campaign(self, number: int) -> Campaign:
        made = scheduling.create(f"Autumn {number}", self.topic, "Hello", "markdown", "Hello.\n", actor="cli")
        db.session.flush()
        return made

    @property
    def tokens(self) -> list[str]:
        """What must not be found either: the nonce of a link that is still open."""
        found = db.session.query(Notice).filter_by(kind=Kind.rights_link).one()
        return [signed_links.nonce(found.public_id)]


@pytest.fixture
def life(app: Flask) -> Iterator[Life]:
    with transaction():
        made = Life()
    yield made


def upload(row: str, encoding: str = "utf-8") -> str:
    content = f"email;name\n{row}\nother@example.org;Other\n".encode(encoding)
    return imports.receive(io.BytesIO(content), "people.csv", "cli").public_id


def dump(folder: Path) -> bytes:
    """Every row of every table, and every file of the data folder, byte for byte."""
    rows: list[str] = []
    with db.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(text(f'SELECT * FROM "{table.name}"')):
                rows.append(" ".join(map(str, row)))
    files = b"\n".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return "\n".join(rows).encode() + files


def traces(content: bytes, *wanted: str) -> list[str]:
    """Which of these texts are there, in any case and in the spellings that databases and files use."""
    content = content.lower()
    spelled = {
        word: [word.lower().encode("utf-8"), word.lower().encode("utf-16-le"), ascii(word)[1:-1].lower().encode()]
        for word in wanted
    }
    return [word for word, ways in spelled.items() if any(way in content for way in ways)]


@pytest.mark.both_databases
def test_neither_address_nor_name_nor_token_is_left_anywhere(app: Flask, life: Life, tmp_path: Path) -> None:
    """P11, S97: database, write-ahead log, uploads, journals."""
    with transaction():
        upload(f"{ADDRESS};{NAME}")
        upload(f"{ADDRESS.upper()};{NAME}", "utf-16")
        life.contact.attributes = {"last_name": NAME, "city": "Łódź"}
    words = [ADDRESS, NAME, ADDRESS.partition("@")[0], *life.tokens]
    assert set(traces(dump(tmp_path), *words)) == set(words[:3]), "else this test would prove nothing"
    with transaction():
        erasure.erase(life.contact, BY_HER)
    db.session.remove()
    assert traces(dump(tmp_path), *words, "203.0.113.77", "Zuzanna's browser") == []


@pytest.mark.both_databases
def test_the_contact_stays_as_an_empty_mark(app: Flask, life: Life) -> None:
    before, epoch = life.contact.public_id, life.contact.link_epoch
    with transaction():
        erasure.erase(life.contact, BY_HER)
    contact = db.session.query(Contact).filter_by(public_id=before).one()
    assert (contact.email, contact.address_hash, contact.attributes, contact.source) == (None, None, {}, "")
    assert (contact.time_zone, contact.jurisdiction, contact.jurisdiction_source) == (None, None, None)
    assert contact.erased_at is not None and contact.link_epoch == epoch + 1


@pytest.mark.both_databases
def test_figures_keep_adding_up_and_what_waits_is_skipped(app: Flask, life: Life) -> None:
    """P11: open queued messages end as skipped(erased), the sent ones count on."""
    with transaction():
        erasure.erase(life.contact, BY_HER)
    messages = db.session.query(Message).filter_by(contact_id=life.contact.id).order_by(Message.id).all()
    assert [(m.state, m.reason) for m in messages] == [
        (MessageState.skipped, Reason.erased),
        (MessageState.sent, None),
        (MessageState.bounced, None),
    ]
    assert delivery.figures(life.campaign).as_dict()["skipped"] == {"erased": 1}


@pytest.mark.both_databases
def test_records_stay_without_a_name_and_agree_with_the_state(app: Flask, life: Life) -> None:
    """S98: kinds, times and texts stay; identity goes, and what was on is off."""
    with transaction():
        request = erasure.erase(life.contact, BY_HER)
    records = db.session.query(ConsentRecord).order_by(ConsentRecord.id).all()
    assert [record.action for record in records] == ["given", "withdrawn"]
    assert records[-1].source_ref == f"erasure:{request.public_id}"
    assert standing.subscriptions(life.contact)[life.topic.id].state is State.withdrawn
    assert list(projection.differences()) == []


@pytest.mark.both_databases
def test_a_new_import_does_not_mail_an_erased_person(app: Flask, life: Life) -> None:
    """S97: the keyed hash keeps the address suppressed."""
    address = addresses.parse(ADDRESS)
    with transaction():
        erasure.erase(life.contact, BY_HER)
    assert register.standing([address.hash]) == {address.hash: Cause.erased}
    with transaction():
        again = make.follower(life.topic, ADDRESS)
    verdict = eligibility.verdict(life.topic, again, clock.now())
    assert not verdict.allowed and verdict.reason is Reason.erased


@pytest.mark.both_databases
def test_service_mail_that_waits_is_dropped(app: Flask, life: Life) -> None:
    with transaction():
        erasure.erase(life.contact, BY_HER)
    found = db.session.query(Notice).all()
    assert {(notice.state, str(notice.payload)) for notice in found} == {(NoticeState.dropped, "{}")}
    assert notices.drain() == 0


def test_a_file_that_is_being_read_goes_within_a_day_and_others_stay(app: Flask, life: Life) -> None:
    with transaction():
        running, foreign = upload(f"{ADDRESS};{NAME}"), upload("nobody@example.org;Nobody")
        reading = imports.by_public_id(running)
        reading.state = ImportState.running
    with transaction():
        imports.forget(ADDRESS)
    assert imports.path(imports.by_public_id(running)).exists()
    assert imports.path(imports.by_public_id(foreign)).exists()


def test_an_address_is_found_across_the_seam_of_two_pieces(app: Flask, life: Life, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir(exist_ok=True)
    (folder / "odd.csv").write_bytes(b"x" * ((1 << 20) - 10) + ADDRESS.encode() + b"y" * 100)
    with transaction():
        imports.forget(ADDRESS)
    assert not (folder / "odd.csv").exists()


def test_a_request_is_written_down_and_closed_at_once(app: Flask, life: Life) -> None:
    """S101."""
    with transaction():
        erasure.erase(life.contact, BY_HER)
    (request,) = db.session.query(DataRequest).all()
    assert (request.kind, request.state, request.closed_by) == (RequestKind.erasure, RequestState.done, "person")
    assert request.jurisdiction == "PL" and request.due_at > datetime.now(UTC)


def test_a_second_erasure_is_refused(app: Flask, life: Life) -> None:
    with transaction():
        erasure.erase(life.contact, BY_HER)
    with pytest.raises(Conflict), transaction():
        erasure.erase(life.contact, BY_HER)


def test_links_that_were_asked_for_end(app: Flask, life: Life) -> None:
    carried = ["data", life.tokens[0]]
    assert links.look(life.contact, carried) is not None
    with transaction():
        erasure.erase(life.contact, BY_HER)
    assert links.look(life.contact, carried) is None


def test_an_erased_person_is_not_there_to_be_asked_about(app: Flask, life: Life) -> None:
    with transaction():
        erasure.erase(life.contact, BY_HER)
    with transaction():
        links.ask(life.contact, Opens.data)
    assert db.session.query(Notice).order_by(Notice.id.desc()).first().contact_id is None  # type: ignore[union-attr]
