"""One scenario: a house of real processes, a campaign, somebody who breaks things, and the judgement at its end.

The test is the nemesis: it starts, kills, stops and cuts, and calls `finish()`, which sweeps as the clock would, looks at
the figures all the time, and judges when the campaign is over.
"""

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import redis
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from preference_center import clock, jobs
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState, ContentFormat
from preference_center.config import Settings
from preference_center.consent.chain import rows, seal, verifying
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import queries, sending
from preference_center.delivery.models import Message, MessageState
from tests.contacts import files
from tests.faults import history
from tests.faults.history import History
from tests.support import make
from tests.support.house import House, house

CONNECTIONS = 4  # of each worker, as the settings have it
MORE_THAN_TWO_CHUNKS = sending.FIRST * (1 + sending.GROWTH) + 50  # people; a run alone takes as many as it may
FEW = 200  # people; more come by the import, which takes a tenth of the time for each


@dataclass
class Scenario:
    own: House
    campaign_id: int
    people: set[str]
    seed: int
    dice: random.Random
    began: float = field(default_factory=time.monotonic)
    kills: int = 0
    looks: int = 0
    swept: float = 0.0
    sweeps_every: float = 1.0

    def start(self) -> None:
        with transaction():
            scheduling.start_due(clock.now())

    def worker(self, name: str = "worker", failpoints: str = "") -> subprocess.Popen[str]:
        more = {"PREFERENCE_CENTER_FAILPOINTS": failpoints} if failpoints else {}
        return self.own.start_worker(name, **more)

    def kill(self, name: str = "worker") -> None:
        self.own.kill(name)
        self.kills += 1

    def falls(self, name: str = "worker", timeout: float = 90) -> None:
        """Wait until this worker has killed itself at its failpoint."""
        process = self.own.processes.pop(name)
        end = time.monotonic() + timeout
        while process.poll() is None:
            assert time.monotonic() < end, "the failpoint was never passed"
            self.look()
            self.sweep()
            time.sleep(0.1)
        assert process.returncode == -signal.SIGKILL
        self.kills += 1

    def accepted(self) -> int:
        return len(self.own.accepted())

    def until(self, condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"never came: {what}"
            self.sweep()
            time.sleep(0.05)

    def sweep(self) -> None:
        """As the clock does, only more often."""
        if time.monotonic() - self.swept > self.sweeps_every:
            self.swept = time.monotonic()
            self.ring(jobs.SWEEP)

    def ring(self, job: jobs.Job, *args: int) -> None:
        """A queue that is away is left alone."""
        with suppress(redis.RedisError, OSError):
            self.own.app.extensions["bell"].ring(job, args)

    def look(self) -> CampaignState | None:
        """Where the campaign is; its figures must close at this very moment (P6). None while the database is away."""
        try:
            db.session.rollback()
            campaign = db.session.get_one(Campaign, self.campaign_id)
            figures = queries.figures(campaign)
            filled, state = campaign.filled_at, campaign.state
            db.session.rollback()
        except DBAPIError:
            db.session.remove()
            return None
        self.looks += 1
        if filled is not None:
            assert figures.audience == len(self.people), "the figures do not close"
        return state

    def waiting_is_over(self) -> None:
        """What waits for its next try, up to an hour after several, may have it now."""
        with transaction():
            db.session.execute(
                update(Message)
                .where(Message.campaign_id == self.campaign_id, Message.state == MessageState.queued)
                .values(next_try_at=None)
            )

    def finish(self, *, uncertain: int = 0, timeout: float = 90) -> History:
        """Sweep until the campaign is over, then judge it. `uncertain`: how many doubtful ones the faults allow."""
        end = time.monotonic() + timeout
        while self.look() not in (CampaignState.sent, CampaignState.cancelled):
            assert time.monotonic() < end, f"the campaign did not end (seed {self.seed})"
            self.sweep()
            time.sleep(0.1)
        return self.judge(uncertain=uncertain)

    def finish_without_judging(self, timeout: float = 60) -> None:
        self.until(lambda: self.look() is CampaignState.sent, "the end of the campaign", timeout)

    def judge(self, *, uncertain: int, journal_lost: bool = False) -> History:
        past = self.past()
        doubtful = past.of("uncertain")
        assert history.lost(past) == set()  # P1
        assert history.copies(past) == set()  # P2
        assert history.untrue(past) == set()
        assert journal_lost or history.groundless(past) == set()
        assert len(doubtful) <= uncertain, "more are uncertain than connections were cut"
        assert _ledger_faults() == []  # P10
        return past

    def tell(self) -> None:
        """The line that each scenario ends with, judged or not."""
        past = self.past()
        print(
            f"seed {self.seed}: kills {self.kills}, accepted {past.accepted.total()}, copies {len(history.copies(past))}, "
            f"uncertain {len(past.of('uncertain'))}, looks {self.looks}, {time.monotonic() - self.began:.1f} s"
        )

    def past(self) -> History:
        db.session.rollback()
        found = db.session.execute(
            select(Contact.email, Message.state)
            .join(Message, Message.contact_id == Contact.id)
            .where(Message.campaign_id == self.campaign_id)
        )
        states = {email: str(state) for email, state in found}
        db.session.rollback()
        accepted = Counter(str(line["recipient"]) for line in self.own.accepted())
        return History(self.people, states, accepted, self.own.relay_history())


@contextmanager
def scenario(
    settings: Settings,
    *relay_options: str,
    people: int = 60,
    body: str = "Hello, and more to read.",
    script: Callable[[int], str] = lambda number: f"person{number}@example.org",
    started: bool = True,
) -> Iterator[Scenario]:
    """A campaign to so many followers, started but not filled; `script` makes the address of each."""
    seed = random.randrange(2**32)
    with house(settings, *relay_options) as own, own.app.app_context():
        addresses = [script(number) for number in range(people)]
        with transaction():
            topic = make.topic()
            for address in addresses[:FEW]:
                make.follower(topic, address)
        if addresses[FEW:]:
            terms = {
                "basis": "consent",
                "topics": [topic.key],
                "consented_on": f"{clock.now() - timedelta(days=1):%Y-%m-%d}",
            }
            files.imported("\n".join(["email", *addresses[FEW:]]), **terms)
        with transaction():
            campaign = scheduling.create("Faults", topic, "Hello", ContentFormat.markdown, body)
        with transaction():
            scheduling.schedule(campaign, clock.now())
        play = Scenario(own, campaign.id, set(addresses), seed, random.Random(seed))
        if started:
            play.start()
        try:
            yield play
        finally:
            play.tell()


def children(pid: int) -> list[int]:
    """The horses of a worker; none of one that is gone."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except FileNotFoundError:
        return []


def _ledger_faults() -> list[str]:
    """The chain after everything that happened (P10)."""
    db.session.rollback()
    while seal.waiting():
        with transaction():
            seal.seal()
    db.session.rollback()
    with rows.snapshot() as connection:
        return list(verifying.verify(connection).faults)
