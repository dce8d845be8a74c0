"""What mails that come back lead to: only those with a mark of ours do anything, and then what their kind does."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.consent.models import ConsentRecord, State, Subscription
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.delivery.marks import Place
from preference_center.notices.models import Notice
from preference_center.suppressions.models import Cause, Suppression
from preference_center.webhooks import mailbox, processing
from preference_center.webhooks.models import InboundPost
from tests.delivery.events.conftest import Sent, sent  # noqa: F401 - a fixture
from tests.support.bounces import mails

ANNA, BEN = mails.ANNA, "ben@harbour.example"


@dataclass
class Box:
    """A campaign that has left, and the mails that come back of it."""

    here: Sent

    def path(self, email: str = ANNA) -> str:
        """The return path of a person's message."""
        return f"bounce+{self.here.mark(email, Place.return_path)}@news.example.com"

    def leave(self, email: str = ANNA) -> str:
        return f"unsubscribe+{self.here.mark(email, Place.unsubscribe)}@news.example.com"

    def message_id(self, email: str = ANNA) -> str:
        return f"{self.here.mark(email, Place.message_id)}@example.com"

    def take(self, raw: bytes, *sent_to: str) -> None:
        mailbox.keep(raw, sent_to, clock.now(), way="test")
        processing.drain()

    def state(self, email: str = ANNA) -> tuple[str, str | None]:
        return self.here.state(email)

    def follows(self, email: str = ANNA) -> bool:
        state = db.session.scalar(
            select(Subscription.state).where(Subscription.contact_id == self.here.people[email].id)
        )
        return state is State.given

    def note(self) -> str | None:
        return db.session.scalars(select(InboundPost.trouble).order_by(InboundPost.id.desc()).limit(1)).one()


@pytest.fixture
def box(app: Flask, sent: Callable[..., Sent]) -> Box:  # noqa: F811
    return Box(sent(ANNA, BEN))


def suppressed() -> list[Cause]:
    return list(db.session.scalars(select(Suppression.cause)))


def count(what: type[DeliveryEvent] | type[Notice] | type[ConsentRecord]) -> int:
    return db.session.scalar(select(func.count()).select_from(what)) or 0


@pytest.mark.both_databases
def test_a_hard_bounce_at_the_return_path_suppresses_at_once(box: Box) -> None:
    """S122"""
    box.take(mails.dsn(to=box.path()))
    assert box.state() == ("bounced", "hard")
    assert suppressed() == [Cause.bounce]
    assert box.state(BEN)[0] == "sent"


@pytest.mark.parametrize(
    ("raw", "ends"),
    [
        (mails.dsn("5.2.2", "552 mailbox full"), ("bounced", "soft")),
        (mails.dsn("5.7.1", "550 refused as spam"), ("bounced", "block")),
        (mails.dsn("4.4.1", "timed out", action="delayed"), ("sent", None)),
        (mails.dsn("2.0.0", "", action="relayed"), ("sent", None)),
        (mails.reply("Automatic reply: spring"), ("sent", None)),
    ],
    ids=["soft", "block", "deferred", "relayed", "auto-reply"],
)
def test_what_is_not_hard_suppresses_nobody(box: Box, raw: bytes, ends: tuple[str, str | None]) -> None:
    """S122"""
    box.take(raw, box.path())
    assert box.state() == ends
    assert suppressed() == []
    assert box.follows()


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "raw",
    [
        mails.dsn(diagnostic="550 5.1.1 No such \0user"),
        mails.dsn(diagnostic="550 5.1.1 No such user").replace(
            b"for old programs", b"--=_b\nContent-Type: text/plain; charset=utf-7\n\nMessage-Id: <1-+2AA-@x>"
        ),
        mails.letter("<anna@harbour.example>:\n550 5.1.1 No such user +2AA-").replace(b"utf-8", b"utf-7"),
    ],
    ids=["a null", "half a character in a Message-ID", "half a character in the words"],
)
def test_characters_that_no_database_takes_lose_no_bounce(box: Box, raw: bytes) -> None:
    """S127"""
    box.take(raw, box.path())
    assert box.state() == ("bounced", "hard")


@pytest.mark.both_databases
def test_our_message_id_in_the_returned_part_ties_a_report(box: Box) -> None:
    """S121"""
    box.take(mails.dsn(to="postmaster@example.com", message_id=box.message_id()))
    assert box.state() == ("bounced", "hard")


def test_our_return_path_in_the_returned_part_ties_a_report(box: Box) -> None:
    """S121"""
    box.take(mails.complaint(us=box.path()))
    assert box.state()[0] == "complained"


MADE_UP = "1-0123456789abcdef0123"


@pytest.mark.parametrize(
    "raw",
    [
        mails.dsn(),
        mails.dsn(to=f"bounce+{MADE_UP}@news.example.com", message_id=f"{MADE_UP}@example.com"),
        mails.complaint(),
        mails.complaint("opt-out"),
        mails.reply("unsubscribe", "", to=f"unsubscribe+{MADE_UP}@news.example.com"),
    ],
    ids=["no mark", "made-up marks", "complaint", "opt-out", "unsubscribe with a bad token"],
)
def test_a_report_without_a_mark_of_ours_changes_nothing_and_waits_for_a_person(box: Box, raw: bytes) -> None:
    """S43, S121: otherwise anybody could silence anybody by mail."""
    before = count(ConsentRecord)
    box.take(raw)
    assert box.state()[0] == "sent"
    assert (suppressed(), count(DeliveryEvent), count(ConsentRecord)) == ([], 0, before)
    assert (box.note() or "").startswith("without a mark of ours: ")


def test_a_mark_of_one_place_is_worth_nothing_in_another(box: Box) -> None:
    """S121: the mark of the unsubscribe address, which many people's programs show, forges no bounce."""
    box.take(mails.dsn(to=f"bounce+{box.here.mark(ANNA, Place.message_id)}@news.example.com"))
    assert count(DeliveryEvent) == 0


@pytest.mark.parametrize("kind", ["abuse", "fraud", "virus", "other"])
def test_a_complaint_silences_everything(box: Box, kind: str) -> None:
    """S123"""
    box.take(mails.complaint(kind, message_id=box.message_id()))
    assert (box.state()[0], suppressed(), box.follows()) == ("complained", [Cause.complaint], False)


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_reports_that_are_no_complaint_change_nothing(box: Box, kind: str) -> None:
    """S123"""
    box.take(mails.complaint(kind, message_id=box.message_id()))
    assert (box.state()[0], suppressed(), box.follows()) == ("sent", [], True)


def test_an_opt_out_report_unsubscribes(box: Box) -> None:
    """S123"""
    box.take(mails.complaint("opt-out", message_id=box.message_id()))
    assert (suppressed(), box.follows(), box.follows(BEN)) == ([], False, True)


def test_a_redacted_complaint_is_resolved_by_our_own_mark(box: Box) -> None:
    """S124"""
    box.take(mails.complaint(recipient=None, message_id=box.message_id()))
    assert box.state()[0] == "complained"


def test_a_redacted_complaint_without_one_is_counted(box: Box) -> None:
    """S124"""
    box.take(mails.complaint(recipient=None))
    assert box.note() == "without a mark of ours: complaint"


APPLE = {"Auto_Submitted": "auto-replied", "X_Apple_Unsubscribe": "true"}


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        ("unsubscribe", {}), ("", {"Precedence": "bulk"}), ("Re: Spring is here", {}), ("unsubscribe", APPLE),
        ("Automatic reply", {"Auto_Submitted": "auto-replied"}), ("failure notice", {}),
    ],
    ids=["plain", "empty and bulk", "a reply", "as Apple sends it", "automatic", "like a bounce"],
)  # fmt: skip
def test_any_mail_to_the_unsubscribe_address_unsubscribes_from_its_topic(
    box: Box, subject: str, headers: dict[str, str]
) -> None:
    """S4, S43"""
    box.take(mails.reply(subject, "whatever", to=box.leave(), **headers))
    assert (box.follows(), box.follows(BEN), suppressed()) == (False, True, [])
    last = db.session.scalars(select(ConsentRecord).order_by(ConsentRecord.id.desc()).limit(1)).one()
    assert (last.source, last.contact_id) == ("mail", box.here.people[ANNA].id)
    assert count(Notice) == 0  # S126: nobody is answered


def test_the_envelope_is_enough(box: Box) -> None:
    """S43: Bcc, or a server that rewrites the header."""
    box.take(mails.reply("unsubscribe", to="undisclosed-recipients:;"), box.leave().upper())
    assert not box.follows()


def test_a_letter_to_a_return_path_is_kept_for_a_person(box: Box) -> None:
    """S126"""
    box.take(mails.reply("Do you have it in blue?", to=box.path()))
    assert (box.note(), count(DeliveryEvent), count(Notice)) == ("a letter", 0, 0)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "words",
    [
        "Hello, I wrote to your helpdesk and got this back:\n\n> Final-Recipient: rfc822; help@elsewhere.example\n"
        "> Action: failed\n> Status: 5.1.1\n> Diagnostic-Code: smtp; 550 5.1.1 User unknown\n\nCan you help? Anna",
        "Your helpdesk could not be delivered to:\n550 5.1.1 <help@elsewhere.example>: User unknown\n\nAnna",
    ],
    ids=["its fields", "its words"],
)
def test_a_person_who_quotes_a_bounce_in_an_answer_is_not_dead(box: Box, words: str) -> None:
    """S121"""
    box.take(mails.reply("Re: Spring is here", words, Return_Path=f"<{ANNA}>"), box.path())
    assert (box.state()[0], suppressed(), box.note()) == ("sent", [], "a letter")


def test_the_same_mail_twice_and_by_another_way_counts_once(box: Box) -> None:
    raw = mails.dsn(to=box.path())
    box.take(raw)
    box.take(raw)
    box.take(b"Delivered-To: other@example.com\nReceived: by somebody\n" + raw)
    assert count(DeliveryEvent) == 1


def test_of_many_that_it_was_passed_on_to_the_mildest_fate_is_believed(box: Box) -> None:
    one = "\nFinal-Recipient: rfc822; two@elsewhere.example\nAction: failed\nStatus: 5.2.2\n"
    box.take(mails.dsn(recipient="one@elsewhere.example", more=one, to=box.path()))
    assert (box.state(), suppressed()) == (("bounced", "soft"), [])


def test_of_many_recipients_the_one_we_wrote_to_counts(box: Box) -> None:
    other = "\nFinal-Recipient: rfc822; two@elsewhere.example\nAction: failed\nStatus: 5.2.2\n"
    box.take(mails.dsn(more=other, to=box.path()))
    assert box.state() == ("bounced", "hard")


def test_nothing_that_is_kept_in_the_clear_holds_an_address(box: Box) -> None:
    box.take(mails.dsn(diagnostic=f"550 5.1.1 <{ANNA}> no such user", to=box.path()))
    event = db.session.scalars(select(DeliveryEvent)).one()
    post = db.session.scalars(select(InboundPost)).one()
    assert event.detail is not None and "550" in event.detail and ANNA not in event.detail
    assert ANNA.encode() not in post.body
