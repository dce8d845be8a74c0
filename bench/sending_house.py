"""A house that sends: PostgreSQL, a queue server, two RQ workers, and as many followers of one topic as messages are wanted."""

import gc
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from flask import current_app
from sqlalchemy import func, insert, select, text

from bench import newsletter
from bench.databases import create_database
from preference_center import clock, embedded, jobs
from preference_center.app import create_app
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings
from preference_center.consent.models import Action, ConsentRecord, State, Subscription
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, new_public_ids, transaction
from preference_center.delivery import outbox, sending
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.mail import dkim
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.conftest import make_settings
from tests.support import make
from tests.support.bell import WrittenBell
from tests.support.house import environment

WORKERS = 2
PART = 20_000
PATIENCE, SLOWEST = 60, 20  # seconds, and messages a second: below that something else is wrong


class NoJournal:
    """For measuring the wire alone."""

    def dot(self, *keys: int) -> None:
        """Nothing is noted."""

    def reply(self, key: int, code: int) -> None:
        """Nothing is noted."""

    def write(self) -> None:
        """Nothing is written."""


class SendingHouse:
    """Open it with `with`; `rate(n)` sends one campaign to n people and says how many messages a second left."""

    def __init__(self, relay_url: str, people: int, *, signed: bool = False) -> None:
        self._relay_url, self._people, self._signed = relay_url, people, signed
        self._stack = ExitStack()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._sent, self._cpu = 0, 0.0
        self._last = 0, clock.now()  # the campaign, and when it was rung for

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pc-bench-")))
        more: dict[str, Any] = {"relay_url": self._relay_url, "redis_url": None}
        if self._signed:
            (folder / "key.pem").write_bytes(dkim.generate_key("rsa"))
            more |= {"dkim_selector": "s", "dkim_key_file": str(folder / "key.pem")}
        settings = make_settings(folder, create_database("pc_bench_send"), **more)
        self._stack.enter_context(embedded.running(settings))
        self._app = create_app(settings)
        self._stack.enter_context(self._app.app_context())
        prepare(self._people)
        self._start_workers(settings)
        self.rate(min(self._people, 100))  # warm
        self._sent, self._cpu = 0, 0.0
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait()
        db.session.remove()
        db.engine.dispose()
        self._stack.close()

    def rate(self, messages: int) -> float:
        """Messages a second, from the ring of the bell to the closed campaign."""
        campaign_id = filled_campaign(messages)
        before = self._cpu_now()
        self._last = campaign_id, clock.now()
        begun = time.perf_counter()
        for _ in range(WORKERS):
            self._app.extensions["bell"].ring(jobs.DELIVER, (campaign_id,))
        wanted = select(Campaign.state).where(Campaign.id == campaign_id)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while connection.scalar(wanted) is CampaignState.sending:
                if time.perf_counter() - begun > PATIENCE + messages / SLOWEST:
                    raise RuntimeError("the campaign does not end: look at what the workers say")
                time.sleep(0.02)
        seconds = time.perf_counter() - begun
        all_must_be_sent(campaign_id, messages)
        time.sleep(0.3)  # the other worker notices that nothing is left
        self._sent += messages
        self._cpu += self._cpu_now() - before
        return messages / seconds

    def cpu_a_message(self) -> int:
        """Microseconds of processor time of our workers for each message, all rounds together."""
        return round(1e6 * self._cpu / max(self._sent, 1))

    def ring(self, job: jobs.Job) -> None:
        """As the clock does."""
        self._app.extensions["bell"].ring(job, ())

    def worker_ids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in self._workers]

    def share_outside_runs(self) -> float:
        """Of the workers' time from the ring to the end of the last run, how much passed before and between their runs.

        Not what a worker waits at the end, with nothing left to send, while the others send their last.
        """
        campaign_id, rung_at = self._last
        db.session.rollback()
        asked = select(Run.started_at, Run.ended_at).where(Run.campaign_id == campaign_id)
        runs = [(began, ended or began) for began, ended in db.session.execute(asked)]
        inside = sum((ended - began for began, ended in runs), timedelta())
        last = sorted(ended for _, ended in runs)[-WORKERS:]
        nothing_left = sum((last[-1] - ended for ended in last), timedelta())
        return 1 - (inside + nothing_left) / (WORKERS * (last[-1] - rung_at))

    def _start_workers(self, settings: Settings) -> None:
        given = environment(settings)
        if self._signed:
            given |= {
                "PREFERENCE_CENTER_DKIM_SELECTOR": settings.dkim_selector,
                "PREFERENCE_CENTER_DKIM_KEY_FILE": settings.dkim_key_file,
            }
        for _ in range(WORKERS):
            command = [sys.executable, "-m", "worker", "campaigns", "delivery"]
            self._workers.append(subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL))

    def _cpu_now(self) -> float:
        """Seconds of our workers and of the jobs they have forked and buried."""
        ticks = 0
        for worker in self._workers:
            with suppress(OSError):
                fields = Path(f"/proc/{worker.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")


def prepare(people: int) -> None:
    """Tables, one topic and its followers, and the fields that the newsletter speaks of."""
    db.create_all()
    with transaction():
        topic = make.topic()
        now = clock.now()
        for key, kind in newsletter.FIELDS.items():
            db.session.add(Attribute(key=key, name=key, kind=AttributeKind(kind), created_at=now))
    made = enumerate(newsletter.people(people), start=1)
    for start in range(0, people, PART):
        _add(topic, [next(made) for _ in range(min(PART, people - start))])
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _add(topic: Topic, people: list[tuple[int, dict[str, Any]]]) -> None:
    now = clock.now()
    names = iter(new_public_ids(2 * len(people)))
    about = {"purpose_key": topic.purpose_key, "topic_id": topic.id, "action": Action.confirmed, "source": "form"}
    when = {"happened_at": now, "recorded_at": now, "legal_basis": LegalBasis.double_opt_in}
    dated = {"created_at": now, "updated_at": now, "jurisdiction": "PL", "jurisdiction_source": "import"}
    held = {"topic_id": topic.id, "state": State.given, "legal_basis": LegalBasis.double_opt_in}
    rows = (
        (Contact, [one | dated | {"id": id_, "address_hash": id_.to_bytes(16, "big")} for id_, one in people]),
        (ConsentRecord, [about | when | {"id": id_, "contact_id": id_} for id_, _ in people]),
        (Subscription, [held | {"contact_id": id_, "record_id": id_} for id_, _ in people]),
    )
    with transaction():
        for model, values in rows:
            if model is not Subscription:
                values = [row | {"public_id": next(names)} for row in values]
            db.session.execute(insert(model), values)


def filled_campaign(messages: int) -> int:
    """A campaign under way to the first so many people, nothing of it sent yet."""
    with transaction():
        topic = db.session.scalars(select(Topic)).one()
        campaign = scheduling.create(
            "Winter", topic, newsletter.SUBJECT, "html", newsletter.html(), text_source=newsletter.text()
        )
    with transaction():
        scheduling.schedule(campaign, clock.now())
        campaign.state, campaign.started_at, campaign.fill_to = CampaignState.sending, clock.now(), messages
    extensions = current_app.extensions
    bell, extensions["bell"] = extensions["bell"], WrittenBell()  # nobody begins before the clock runs
    more = True
    while more:
        with transaction():
            more = outbox.fill_range(campaign.id)
    extensions["bell"] = bell
    return campaign.id


def all_must_be_sent(campaign_id: int, messages: int) -> None:
    """Skipping everybody is quicker than any sending: without this a wrong set-up would look like a record."""
    db.session.rollback()
    counted = select(Message.state, Message.reason, func.count()).where(Message.campaign_id == campaign_id)
    ended = {
        (state, reason): count
        for state, reason, count in db.session.execute(counted.group_by(Message.state, Message.reason))
    }
    if ended != {(MessageState.sent, None): messages}:
        told = ", ".join(f"{count} {state} {reason or ''}".strip() for (state, reason), count in ended.items())
        raise RuntimeError(f"of {messages} messages not each was sent: {told or 'there are none'}")


def database_shares(folder: Path, port: int, messages: int, rounds: int, *, postgresql: bool) -> list[float]:
    """One sender in this process; the part of its time inside transactions, round by round.

    What is here before it begins is kept out of the way of the garbage collector, as a worker does.
    """
    url = create_database("pc_bench_share") if postgresql else f"sqlite:///{folder / 'bench.db'}"
    settings = make_settings(folder, url, relay_url=f"smtp://127.0.0.1:{port}")
    shares = []
    with create_app(settings, bell=WrittenBell()).app_context():
        prepare(messages)
        for _ in range(rounds):
            campaign_id = filled_campaign(messages)
            gc.collect()
            gc.freeze()
            tally = sending.run(campaign_id, seconds=600)
            all_must_be_sent(campaign_id, messages)
            shares.append(tally.database_seconds / tally.seconds)
        db.session.remove()
        db.engine.dispose()
    return shares
