"""The page of events: chosen ones, addresses by role, held ones let act or dropped, posts read again, letters."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.accounts.audit import AuditEntry
from preference_center.config import with_
from preference_center.db import db, transaction
from preference_center.delivery.events import releasing
from preference_center.providers.base import Post
from preference_center.suppressions import register
from preference_center.webhooks import inbox, mailbox, processing
from preference_center.webhooks.models import InboundPost, PostState
from tests.delivery.events.conftest import Sent, event, sent, tell  # noqa: F401 - a fixture
from tests.web.admin.conftest import Console, words

ANNA, BO, JO = "anna@example.org", "bo@example.org", "jo@example.org"


@pytest.fixture
def here(app: Flask, sent: Callable[..., Sent]) -> Sent:  # noqa: F811
    """Bo clicked; three complaints without a mark, of which the cap holds two back."""
    app.extensions["settings"] = with_(app.extensions["settings"], event_cap=1)
    made = sent(ANNA, BO, JO)
    tell(event("clicked", BO, mark=made.mark(BO), url="https://example.com/"), source="mailgun")
    tell(*(event("complained", email) for email in (ANNA, BO, JO)), source="postmark")
    return made


def _post(state: PostState, source: str = "mailgun", trouble: str | None = "no event in it") -> str:
    inbox.keep(source, "", Post("POST", "https://x", {}, f"{source} {state}".encode()), clock.now())
    with transaction():
        made = db.session.scalars(select(InboundPost).order_by(InboundPost.id.desc())).first()
        assert made is not None
        made.state, made.trouble, made.tries = state, trouble, 5
        return made.public_id


def test_events_are_listed_with_contact_and_campaign(owner: Console, here: Sent) -> None:
    text = owner.text("/admin/events")
    assert f"Clicked mailgun {BO} Autumn done" in text
    assert f"Reported as spam postmark {JO} Autumn held back" in text


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("kind=clicked", {"Clicked mailgun"}),
        ("source=postmark", {"Reported as spam postmark"}),
        ("effect=held&kind=clicked", set()),
        ("kind=nonsense&source=nobody&effect=%00&before=x", {"Clicked mailgun", "Reported as spam postmark"}),
        ("before=1", set()),
    ],
)
def test_the_chosen_ones_alone_are_shown(owner: Console, here: Sent, query: str, kinds: set[str]) -> None:
    text = owner.text(f"/admin/events?{query}").partition("Newest events")[2]
    assert {kind for kind in ("Clicked mailgun", "Reported as spam postmark") if kind in text} == kinds


def test_a_viewer_sees_masked_addresses_and_can_do_nothing(viewer: Console, here: Sent) -> None:
    post = _post(PostState.unreadable)
    page = viewer.get("/admin/events")
    assert "anna@" not in page.text and "a•••@example.org" in page.text
    assert "Let them act" not in page.text and "Read it again" not in page.text
    for path in ("release", f"posts/{post}/again", f"letters/{post}"):
        assert viewer.post(f"/admin/events/{path}", {"source": "postmark"}).status_code == 403
    assert releasing.held() == 2


def test_held_reports_act_when_somebody_lets_them(marketer: Console, here: Sent) -> None:
    assert "2 reports of postmark wait for you" in marketer.text("/admin/events")
    assert marketer.post("/admin/events/release", {"source": "postmark"}).status_code == 302
    assert "2 events have taken effect." in marketer.text("/admin/events")
    assert len(register.standing({person.address_hash for person in here.people.values()})) == 3
    noted = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "events.release")).one()
    assert noted.detail == {"source": "postmark", "kind": "", "count": 2}


def test_dropped_reports_never_act(owner: Console, here: Sent) -> None:
    owner.get("/admin/events")
    owner.post("/admin/events/release", {"source": "postmark", "drop": "yes"})
    assert "2 events stay without effect." in owner.text("/admin/events")
    assert releasing.held() == 0
    assert len(register.standing({person.address_hash for person in here.people.values()})) == 1


def test_a_release_names_its_source(owner: Console, here: Sent) -> None:
    owner.get("/admin/events")
    owner.post("/admin/events/release")
    assert releasing.held() == 2


@pytest.mark.parametrize("state", [PostState.unreadable, PostState.failed])
def test_a_post_that_could_not_be_read_is_read_again(owner: Console, state: PostState) -> None:
    post = _post(state)
    assert "Posts that could not be read From Why Received Once more mailgun no event in it" in owner.text(
        "/admin/events"
    )
    assert owner.post(f"/admin/events/posts/{post}/again").status_code == 302
    db.session.rollback()
    again = db.session.scalars(select(InboundPost)).one()
    assert (again.state, again.tries) == (PostState.new, 0)
    assert processing.drain() == 1
    assert owner.post("/admin/events/posts/nothing/again").status_code == 404


def test_a_letter_is_a_file_and_who_took_it_is_written_down(owner: Console) -> None:
    letter = _post(PostState.done, mailbox.SOURCE, "a letter")
    assert "Letters for a person" in owner.text("/admin/events")
    answer = owner.post(f"/admin/events/letters/{letter}")
    assert answer.data == b"mailbox done"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{letter}.eml"'
    assert answer.content_type.startswith("message/rfc822")
    assert db.session.scalars(select(AuditEntry.object_id).where(AuditEntry.action == "post.read")).one() == letter
    other = _post(PostState.done)
    assert owner.post(f"/admin/events/letters/{other}").status_code == 404, "a provider's post is no letter"


def test_an_empty_page_says_so(owner: Console) -> None:
    assert "Nothing has come back yet." in owner.text("/admin/events")
    assert words(owner.get("/admin/events?kind=clicked")).count("Nothing.") == 1
