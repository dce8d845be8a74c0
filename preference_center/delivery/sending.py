"""One run of one worker at one campaign: claim, render, hand over, journal, store; again until the time is up or nothing waits.

This is the one place in the rooms that commits by itself: no transaction may be open while the relay answers, and what a
chunk came to is stored in the same commit that claims the next one (`reliability.md` 2.2).
"""

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from flask import current_app
from sqlalchemy import Update, bindparam, exists, func, inspect, literal, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.elements import ColumnElement

from preference_center import clock, failpoints, jobs
from preference_center.campaigns import approvals, timing
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.campaigns.rendering import content
from preference_center.config import Settings
from preference_center.consent.eligibility import Reason
from preference_center.consent.law import jurisdictions
from preference_center.db import Base, db, is_postgresql, shared_time, transaction
from preference_center.delivery import chunks, closing, outcomes
from preference_center.delivery.chunks import Ending
from preference_center.delivery.claimed import Claimed, Taken
from preference_center.delivery.composing import Composer, UnwritableAddress, Written
from preference_center.delivery.journal import Journal
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.pace import clearance, domains, pacing
from preference_center.delivery.pace.lookout import Lookout, uptime
from preference_center.delivery.pace.pacing import Lane
from preference_center.delivery.restoring import holding
from preference_center.delivery.results import trials
from preference_center.delivery.results.trials import Composers
from preference_center.errors import DomainError
from preference_center.mail.outcomes import Envelope, TroubleKind
from preference_center.mail.smtp import Courier
from preference_center.prepared import Answer, Asked, Prepared
from preference_center.topics.models import Topic

log = structlog.get_logger()
Row = TypeVar("Row", bound=Base)

LEASE = timedelta(minutes=15)  # longer than the wait for a final dot's reply
CHUNK_SECONDS = 1.0  # a chunk is what the relay takes in about this time
STALE_SECONDS = 2.0  # an older judgement is not used: the rest of the chunk is judged again
SMALLEST, FIRST, LARGEST = 20, 100, 2000
GROWTH = 4  # at most so many times as large as the one before
WRITTEN_AT_ONCE = 16  # messages
RING_SECONDS = 5.0  # between two rings of one run for help


@dataclass(slots=True)
class Tally:
    """What a run came to."""

    stays: bool = False  # more could leave at once, and nobody else waits for this worker: run again
    handed_over: int = 0
    seconds: float = 0.0
    database_seconds: float = 0.0

    @contextmanager
    def database(self) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.database_seconds += time.perf_counter() - begun


@dataclass
class _Turn:
    """What one run knows between its chunks."""

    run: Run
    campaign: Campaign
    topic: Topic
    journal: Journal
    courier: Courier
    composer: Composer | Composers
    give_up_at: datetime
    stop: Callable[[], bool]
    lookout: Lookout
    lane: Lane
    size: int = FIRST
    last_id: int = 0  # of the last chunk
    endings: list[Ending] = field(default_factory=list)
    dead: dict[int, str] = field(default_factory=dict)  # messages to addresses that do not exist, and these
    held_back: set[int] = field(default_factory=set)
    claimed_at: float = 0.0
    rings_at: float = 0.0  # for one more worker
    at_limit: bool = False  # the relay may take no more for now: its rate, or its warm-up
    # the database has forgotten a claim of this run: others may be lost too, so the sweep is to end it
    lost: bool = False
    unlearned: int | None = None  # how many the last chunk sent, until that is stored
    tally: Tally = field(default_factory=Tally)

    def may_start(self, envelope: Envelope) -> bool:
        young = uptime() - self.claimed_at <= STALE_SECONDS
        if young and not self.stop() and self.lookout.sees_sending() and self.lane.may_go(envelope.key):
            return True
        self.held_back.add(envelope.key)
        return False

    def skip(self, key: int, reason: Reason, reply: str | None = None) -> None:
        self.endings.append(Ending(key, MessageState.skipped, reason, reply=reply))
        self.lane.unsent(key)


def run(
    campaign_id: int,
    *,
    seconds: float,
    stop: Callable[[], bool] = lambda: False,
    may_stay: Callable[[], bool] = lambda: False,
) -> Tally:
    """Send this campaign's messages for at most `seconds`, then ring again if any are left. Safe to run many at once.

    `may_stay`: asked instead of ringing; where it says yes, the caller runs again itself.
    """
    begun = time.perf_counter()
    turn = None if clearance.refused(campaign_id) else _begin(campaign_id, stop)
    if turn is None:
        return Tally()
    until = time.monotonic() + seconds
    with turn.journal:
        try:
            while chunk := _next_chunk(turn, over=time.monotonic() > until or stop()):
                _hand_over(turn, chunk)
        finally:
            turn.courier.close()
            turn.lookout.close()
        _end(turn, may_stay)
        failpoints.hit("end.committed")
    turn.tally.seconds = time.perf_counter() - begun
    return turn.tally


def _begin(campaign_id: int, stop: Callable[[], bool]) -> _Turn | None:
    settings: Settings = current_app.extensions["settings"]
    now = clock.now()
    with transaction():
        campaign = db.session.get(Campaign, campaign_id)
        if campaign is None or campaign.state is not CampaignState.sending:
            return None
        version = campaigns.version(campaign, campaign.approved_version)
        try:
            held = holding.reason()
        except OSError as fault:
            held = _no_journal(fault)
        if why_not := held or approvals.fault(campaign):
            _pause(campaign_id, why_not)
            return None
        topic = db.session.get_one(Topic, campaign.topic_id)
        try:
            composer = trials.composer(campaign, version, topic)
        except (DomainError, ValueError, OSError, MemoryError) as fault:  # until a person mends it
            _pause(campaign_id, f"The mail cannot be written: {str(fault) or 'it takes too much memory'}")
            return None
        relay = pacing.choose(settings)
        if relay is None:  # all of them rest; the sweep rings again
            return None
        started = Run(
            campaign_id=campaign_id,
            host=socket.gethostname()[:80],
            rule_set=jurisdictions.in_force().version,
            journal="",
            started_at=now,
            lease_until=now,
        )
        db.session.add(started)
        db.session.flush()
        started.journal = f"{started.id}-{secrets.token_hex(4)}.journal"  # after a restore numbers come again
        try:
            journal = Journal(settings.journals / started.journal, campaign.public_id)
        except OSError as fault:
            db.session.delete(started)
            _pause(campaign_id, _no_journal(fault))
            return None
        db.session.execute(update(Run).where(Run.id == started.id).values(lease_until=_lease_end()))
        give_up_at = campaign.gives_up_at()
        own_run, own_campaign, own_topic = _as_now(started), _as_now(campaign), _as_now(topic)
    courier = Courier(
        relay,
        connections=relay.connections or settings.relay_connections,
        journal=journal,
        pulse=lambda: _extend_lease(own_run.id),
    )
    lane = Lane(relay, own_run.id, settings.relay_connections, dict(settings.domain_rates))
    lookout = Lookout(campaign_id)
    return _Turn(own_run, own_campaign, own_topic, journal, courier, composer, give_up_at, stop, lookout, lane)


def _no_journal(fault: OSError) -> str:
    return f"The journals on {socket.gethostname()[:80]} cannot be used ({fault.strerror}). Look at its DATA_DIR."


def _as_now(row: Row) -> Row:
    """A copy that no session knows, so that nothing reads it again for each chunk; what may change meanwhile is looked at by itself."""
    return type(row)(**{one.key: getattr(row, one.key) for one in inspect(type(row)).column_attrs})


def _next_chunk(turn: _Turn, *, over: bool) -> list[Claimed]:
    """Store the last chunk and claim the next in one commit. Only an acknowledged commit makes messages ours."""
    failpoints.hit("store.before")
    campaign, topic, lane = turn.campaign, turn.topic, turn.lane
    with turn.tally.database(), transaction():
        # held before any message, as by a sweep that settles: it can do so before this, or when the claim is committed
        lease = _EXTEND.asked(run=turn.run.id, until=clock.now() + LEASE)
        asked = _STANDING.asked(campaign=campaign.id, relay=lane.relay.name, run=turn.run.id)
        mine, standing = _store(turn, lease, asked)
        ((state, decide_at, retired_at, end, lane.has_paces, alone),) = standing.rows
        _learn(turn)
        if over or turn.lost or state is not CampaignState.sending or _relay_is_lost(turn, campaign):
            return []
        now = clock.now()
        if now >= turn.give_up_at and shared_time() >= turn.give_up_at:  # a wrong clock here must not end it for all
            chunks.close_waiting(campaign.id, Reason.too_late)
            return []
        if not timing.is_open(now):
            return []
        if retired_at is not None:
            _pause(campaign.id, f"The topic {topic.key} was retired: nobody may be mailed on it.")
            return []
        if not mine.changed:  # taken for dead, and settled: what it claimed now, no sweep would ever look at
            return []
        turn.courier.connections = lane.at_once()
        room = lane.room(turn.size if alone else _share(turn.size, (end or 0) - turn.last_id))
        turn.at_limit = not room
        taken = chunks.claim(turn.run, campaign, topic, room, turn.last_id, lane.admit) if room else Taken()
        lane.spent(len(taken))
        _ask_for_help(turn, len(taken))
        if decide_at is not None:
            taken = trials.with_contents(db.session.get_one(Campaign, campaign.id), taken)
        failpoints.hit("claim.before_commit")
    failpoints.hit("claim.committed")
    turn.claimed_at = uptime()
    if not taken:
        return []
    turn.last_id = taken.ids[-1]
    with turn.tally.database():
        turn.lookout.look()  # a pause may have been committed while the claim waited (P5)
    return taken.messages()


def _share(size: int, left: int) -> int:
    """How many to take: towards the last message less and less, so that the workers of a campaign end together.

    Not less than leaves in a tenth of the time: each chunk costs the database six journeys, however small it is.
    """
    return min(size, max(left // 4, size // 10, SMALLEST)) if left > 0 else size


def _ask_for_help(turn: _Turn, taken: int) -> None:
    """A chunk as large as it may be leaves more behind: one more worker may join in, and rings for the next likewise."""
    now = time.monotonic()
    if taken == turn.size and now >= turn.rings_at:
        turn.rings_at = now + RING_SECONDS
        jobs.one_more(jobs.DELIVER, turn.campaign.id)


def _hand_over(turn: _Turn, chunk: list[Claimed]) -> None:
    own = {claimed.id: claimed for claimed in chunk}
    turn.journal.take((claimed.id, claimed.attempt, claimed.public_id) for claimed in chunk)
    started = 0
    named = {turn.lane.domain_of(claimed.id) for claimed in chunk}
    known = domains.of_process()
    known.look_up(named)
    for result in turn.courier.hand_over(_composed(turn, chunk, known.refused(named)), turn.may_start):
        held_back = result.key in turn.held_back
        ending = outcomes.ending_of(result, own[result.key].attempt, turn.give_up_at, held_back=held_back)
        if ending.state is MessageState.queued and turn.journal.has_dot(result.key):
            ending = ending._replace(noted=True)
        turn.endings.append(ending)
        turn.lane.hear(result)
        started += ending.state is MessageState.sent
        if ending.reason == "dead_address":
            turn.dead[ending.id] = own[ending.id].email
    took = max(uptime() - turn.claimed_at, 0.001)
    turn.tally.handed_over += started
    turn.unlearned = started
    turn.size = min(max(int(started / took * CHUNK_SECONDS), SMALLEST), LARGEST, turn.size * GROWTH)


def _composed(turn: _Turn, chunk: list[Claimed], refused: dict[str, Reason]) -> Iterator[Envelope]:
    """Some are written at once, and each is signed when it is wanted: RSA in between makes the processor forget how to write."""
    for start in range(0, len(chunk), WRITTEN_AT_ONCE):
        for written in list(_written(turn, chunk[start : start + WRITTEN_AT_ONCE], refused)):
            envelope = written.envelope()
            failpoints.hit("message.rendered")
            yield envelope


def _written(turn: _Turn, some: list[Claimed], refused: dict[str, Reason]) -> Iterator[Written]:
    for claimed in some:
        if refused and (reason := refused.get(turn.lane.domain_of(claimed.id))):
            turn.skip(claimed.id, reason)
            continue
        try:
            yield turn.composer.write(claimed)
        except content.RenderError as fault:
            turn.skip(claimed.id, Reason.render_error, str(fault))
        except UnwritableAddress as fault:  # one such row must not keep the others from their mail
            turn.skip(claimed.id, Reason.invalid_address, str(fault))


def _store(turn: _Turn, *beside: Asked) -> list[Answer]:
    """How the last chunk ended. `beside` is asked in the same journey, before it."""
    lost, answers = chunks.store(turn.run, turn.endings, *beside)
    if lost:
        turn.lost = True
        holding.hold()
    if turn.dead:
        outcomes.suppress_dead(turn.dead)
    turn.endings, turn.dead, turn.held_back = [], {}, set()
    return answers


def _learn(turn: _Turn) -> None:
    if turn.unlearned is not None:
        turn.lane.learned(turn.courier.trouble, turn.unlearned)
        turn.unlearned = None


def _relay_is_lost(turn: _Turn, campaign: Campaign) -> bool:
    """What the relay as a whole said: a refused login or bad TLS needs a person; anything else is tried again later."""
    trouble = turn.courier.trouble
    if trouble is None:
        return False
    log.warning("relay.trouble", kind=trouble.kind, campaign=campaign.public_id)
    if trouble.kind in (TroubleKind.login_refused, TroubleKind.tls):
        _pause(campaign.id, f"The relay cannot be used: {trouble.text}")
    return True


def _pause(campaign_id: int, reason: str) -> None:
    """Stop it ourselves; one that somebody has paused or cancelled meanwhile stays as they left it."""
    campaign = campaigns.lock(campaign_id)
    if campaign.state is CampaignState.sending:
        campaign.pause(clock.now(), reason[:200])


def _end(turn: _Turn, may_stay: Callable[[], bool]) -> None:
    failpoints.hit("end.before")
    with turn.tally.database(), transaction():
        if not turn.lost:
            db.session.execute(update(Run).where(Run.id == turn.run.id).values(ended_at=clock.now()))
        campaign = campaigns.lock(turn.campaign.id)
        goes_on = not closing.finish_if_done(campaign) and closing.has_due(campaign) and _may_go_on(turn)
    if goes_on:  # the queue is asked now, for it may be slow, and nobody may wait for a row of ours meanwhile (P4)
        turn.tally.stays = may_stay()
        if not turn.tally.stays:
            jobs.at_once(jobs.DELIVER, turn.campaign.id)


def _may_go_on(turn: _Turn) -> bool:
    """Whether another turn could send something at once. If not, the sweep rings when there may be room again."""
    if turn.courier.trouble is not None:
        return False
    return not turn.at_limit or pacing.choose(current_app.extensions["settings"]) is not None


def _extend_lease(run_id: int) -> None:
    """While a reply is waited for. A database that does not answer now must not break that conversation off."""
    try:
        with transaction():
            _EXTEND.run(run=run_id, until=clock.now() + LEASE)
    except OperationalError:
        log.warning("database.silent", run=run_id)


def _lease_end() -> ColumnElement[datetime]:
    """The end of a lease by the clock of the database, which all workers share."""
    if is_postgresql():
        return func.now() + LEASE
    return literal(clock.now() + LEASE, Run.lease_until.type)


def _extend_it() -> Update:
    until = _lease_end() if is_postgresql() else bindparam("until", type_=Run.lease_until.type)
    return update(Run).where(Run.id == bindparam("run"), Run.ended_at.is_(None)).values(lease_until=until)


_EXTEND = Prepared(_extend_it)
_LAST_WAITING = select(func.max(Message.id)).where(Message.campaign_id == Campaign.id, Message.waits).scalar_subquery()
_ALONE = ~exists().where(Run.campaign_id == Campaign.id, Run.ended_at.is_(None), Run.id != bindparam("run"))
_STANDING = Prepared(
    select(Campaign.state, Campaign.decide_at, Topic.retired_at, _LAST_WAITING, pacing.HAS_PACES, _ALONE)
    .join(Topic, Topic.id == Campaign.topic_id)
    .where(Campaign.id == bindparam("campaign"))
)
