"""Events while a campaign leaves, and posts while the queue is stopped: with real threads and real processes."""

import socket
import threading
import time
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock, embedded, providers
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, ContentFormat
from preference_center.config import Settings
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import queries, sending
from preference_center.delivery.events import recording
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.providers.base import Event, Kind, Secrets
from preference_center.webhooks.models import InboundPost, PostState
from tests.conftest import make_settings
from tests.support import make
from tests.support.campaigns import fill
from tests.support.house import environment
from tests.support.relay import FakeRelay

# In no certain order, and a run alone takes a hundred at once: most of those who complain are not among them.
PEOPLE = 300


class TestDuringACampaign:
    @pytest.fixture
    def relay(self) -> FakeRelay:
        with FakeRelay(reply_delay=0.02) as relay:
            yield relay  # type: ignore[misc]

    @pytest.fixture
    def settings(self, tmp_path: Path, database: str, relay: FakeRelay) -> Settings:
        return make_settings(tmp_path, database, relay_url=relay.url, relay_connections=2)

    @pytest.mark.both_databases
    def test_who_complains_meanwhile_gets_nothing_claimed_later(self, app: Flask, relay: FakeRelay) -> None:  # W9, P3
        """Complaints about an earlier mail arrive while the next campaign leaves. Whoever is claimed after that commit is skipped."""
        with transaction():
            topic = make.topic()
            people = [make.follower(topic, f"person{number}@example.org") for number in range(PEOPLE)]
            earlier = Campaign(
                name="Before", topic_id=topic.id, state="sent", created_at=clock.now(), updated_at=clock.now(),
                started_at=clock.now() - timedelta(hours=1),
            )  # fmt: skip
            db.session.add(earlier)
            db.session.flush()
            db.session.add_all(_left(earlier.id, person) for person in people)
            campaign = scheduling.create("Autumn", topic, "Hello", ContentFormat.markdown, "Hello.")
        fill(campaign)
        campaign_id = campaign.id
        emails = [f"person{number}@example.org" for number in range(PEOPLE)]

        def send() -> None:
            with app.app_context():
                sending.run(campaign_id, seconds=60)

        thread = threading.Thread(target=send)
        thread.start()
        relay.wait_for(5)
        late = emails[-100:]
        for start in range(0, len(late), 20):
            _tell([Event(Kind.complained, f"key-{email}", email, clock.now()) for email in late[start : start + 20]])
        thread.join(60)
        db.session.rollback()
        figures = queries.figures(db.session.get_one(Campaign, campaign_id))
        assert figures.audience == PEOPLE
        assert figures.skipped.get("suppressed_complaint", 0) + figures.skipped.get("withdrawn", 0) >= 20
        # a complaint may come for one that is claimed and has not left; then it never leaves
        assert figures.sent <= len(relay.messages) <= figures.sent + figures.complained
        assert max(relay.copies().values()) == 1


def _left(campaign_id: int, person: Contact) -> object:
    from preference_center.delivery.models import Message, MessageState

    return Message(
        campaign_id=campaign_id, contact_id=person.id, state=MessageState.sent, attempt=1, changed_at=clock.now()
    )


def _tell(told: list[Event]) -> None:
    """As the job does it: again after a moment while a row is held."""
    from preference_center.webhooks.processing import _patiently

    _patiently(lambda: recording.record("example", told, clock.now()).stored)


@pytest.mark.processes
@pytest.mark.only_postgresql
def test_posts_are_taken_while_the_queue_is_stopped_and_read_once_it_is_back(
    tmp_path: Path, database: str
) -> None:  # S111
    import subprocess
    import sys

    from preference_center.app import create_app

    settings = make_settings(
        tmp_path, database, redis_url=None, hooks={"POSTMARK_LOGINS": "hook:a-password-nobody-guesses-00"}
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = environment(settings) | {
        "PREFERENCE_CENTER_PORT": str(port),
        "PREFERENCE_CENTER_HOOK_POSTMARK_LOGINS": "hook:a-password-nobody-guesses-00",
    }
    app = create_app(settings)
    web = subprocess.Popen([sys.executable, "-m", "preference_center", "web"], env=own)  # no queue is there
    started = [web]
    try:
        _wait_until(lambda: _answers(port), 60)
        secrets = Secrets({"LOGINS": ("hook:a-password-nobody-guesses-00",)})
        took = []
        for number in range(6):
            post = providers.named("postmark").sample(secrets, "https://x", f"1-{number}", "a@example.org", clock.now())
            begun = time.perf_counter()
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/hooks/postmark", post.body, dict(post.headers))
            assert connection.getresponse().status == 200
            took.append(time.perf_counter() - begun)
            connection.close()
        assert sorted(took)[len(took) // 2] < 0.5
        with app.app_context():
            assert db.session.scalar(select(func.count()).where(InboundPost.state == PostState.new)) == 6
            with embedded.running(settings):
                started += [
                    subprocess.Popen([sys.executable, "-m", "worker", *queue], env=own)
                    for queue in (["webhooks"], ["clock"])
                ]
                _wait_until(_all_read, 60)
                assert db.session.scalar(select(func.count(DeliveryEvent.id))) == 6
                for process in started:
                    process.terminate()
                for process in started:
                    process.wait(30)
    finally:
        for process in started:
            process.kill()
            process.wait()
        with app.app_context():
            db.session.remove()
            with db.engine.begin() as connection_:
                connection_.exec_driver_sql("DELETE FROM delivery_events; DELETE FROM inbound_posts")
            db.engine.dispose()


def _all_read() -> bool:
    db.session.rollback()
    return not db.session.scalar(select(func.count()).where(InboundPost.state == PostState.new))


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait_until(holds: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
