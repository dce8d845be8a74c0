"""Reads what lies in the inbox, in the order in which it came, and hands the events on. Any number of workers may do it at once.

It commits by itself, batch by batch: a batch that fails is undone as a whole and its posts are tried one by one, so that one post
never keeps the others waiting. What a fault of ours broke stays and is tried again, or replayed once the program is mended.
"""

import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.exc import OperationalError

from preference_center import clock
from preference_center.db import db, reading, transaction
from preference_center.delivery.events import recording, reputation, waiting
from preference_center.delivery.events.recording import Report
from preference_center.delivery.marks import Place
from preference_center.providers.base import Unreadable
from preference_center.webhooks import hooks, inbox, mailbox, ringing
from preference_center.webhooks.models import InboundPost, PostState

log = structlog.get_logger()

AT_A_TIME = 500
BYTES = 512 * 1024  # of bodies in one batch: about a thousand events
_TRIES = 5
_LOCKED = 4  # how often a batch is tried again at once when a row of it is held by somebody else


def drain(stop: Callable[[], bool] = lambda: False) -> int:
    """Everything that waits now, unless it is to stop; how many posts were read.

    Who comes meanwhile rings again: read post by post as they come, a burst would cost many times as much, just when the
    database is wanted for taking it.
    """
    posts, last = 0, _newest()
    while not stop() and (done := _step(last)):
        posts += done
    while not stop() and _patiently(_look_again):
        pass
    with transaction():
        reputation.watch()
    return posts


def _newest() -> int:
    with reading() as connection:
        return connection.scalar(select(func.max(InboundPost.id))) or 0


def _step(last: int) -> int:
    try:
        return _patiently(lambda: _batch(AT_A_TIME, last))
    except OperationalError:
        raise  # the database is away, or somebody holds a row for long: the next ring tries again
    except Exception:  # a fault of ours in one of them, noted below with its place
        return _one(last)


def _one(last: int) -> int:
    """The oldest alone; when it is the one with the fault, it steps aside."""
    try:
        return _patiently(lambda: _batch(1, last))
    except OperationalError:
        raise
    except Exception as fault:
        where = traceback.extract_tb(fault.__traceback__)[-1]
        words = f"{type(fault).__name__} at {where.filename.rpartition('/')[2]}:{where.lineno}"
        with transaction():
            for post in _claim(1, last):
                _step_aside(post, words)
        return 1


def _patiently(work: Callable[[], int]) -> int:
    """In a transaction; again after a moment while somebody else holds a row (recording.py waits no longer than that)."""
    for tried in range(_LOCKED):
        try:
            with transaction():
                return work()
        except OperationalError:
            if tried == _LOCKED - 1:
                raise
            time.sleep(0.1 * 2**tried)
    return 0


def _batch(size: int, last: int) -> int:
    posts = _claim(size, last)
    reports: dict[str, list[Report]] = {}
    for post in posts:
        reports.setdefault(post.provider, []).extend(_read(post))
    for source, told in sorted(reports.items()):
        recording.record_all(source, told, places=mailbox.PLACES if source == mailbox.SOURCE else (Place.metadata,))
    return len(posts)


def _look_again() -> int:
    return waiting.look_again()


def _claim(size: int, last: int) -> list[InboundPost]:
    """The next posts up to the last that counts, held until the end of the transaction; others take those behind them."""
    now = clock.now()
    due = or_(
        InboundPost.state == PostState.new,
        and_(InboundPost.state == PostState.failed, InboundPost.next_try_at <= now),
    )
    found = select(InboundPost.id, InboundPost.size).where(InboundPost.id <= last)
    found = found.where(due, InboundPost.state.in_([PostState.new, PostState.failed])).order_by(InboundPost.id)
    ids: list[int] = []
    bytes_ = 0
    for number, post_size in db.session.execute(found.limit(size).with_for_update(skip_locked=True)).all():
        bytes_ += post_size
        if ids and bytes_ > BYTES:
            break
        ids.append(number)
    posts = select(InboundPost).where(InboundPost.id.in_(ids)).order_by(InboundPost.id)
    return list(db.session.scalars(posts.execution_options(populate_existing=True)))


def _read(post: InboundPost) -> list[Report]:
    """What this post reports. One of which nothing comes says why, so that it is counted and a person can look at it."""
    post.state, post.processed_at, post.next_try_at, post.trouble = PostState.done, clock.now(), None, None
    opened = inbox.open_sealed(post)
    try:
        if post.provider == mailbox.SOURCE:
            found = mailbox.read(opened)
            events, post.trouble = found.events, found.note and found.note[:200]
        else:
            events = hooks.at(post.provider).provider.read(opened)
    except Unreadable as fault:
        post.state, post.trouble = PostState.unreadable, str(fault)[:200]
        log.warning("post.unreadable", post=post.public_id, provider=post.provider)
        return []
    post.events = len(events)
    return [Report(event, post.received_at, post.id) for event in events]


def _step_aside(post: InboundPost, words: str) -> None:
    post.tries += 1
    post.state, post.trouble, post.processed_at = PostState.failed, words[:200], clock.now()
    post.next_try_at = clock.now() + timedelta(minutes=5 * 4**post.tries) if post.tries < _TRIES else None
    log.error("post.failed", post=post.public_id, provider=post.provider, tries=post.tries, trouble=words)


def replay(provider: str | None = None, since: datetime | None = None) -> int:
    """Read stored posts again, with a parser that has been mended since; how many. Inside a `transaction()`.

    An event that was known keeps its one effect; one that is read differently now does what its new kind does.
    """
    again = update(InboundPost).where(InboundPost.state != PostState.new)
    if provider is not None:
        again = again.where(InboundPost.provider == provider)
    if since is not None:
        again = again.where(InboundPost.received_at >= since)
    again = again.values(state=PostState.new, tries=0, next_try_at=None)
    done = db.session.execute(again.execution_options(synchronize_session=False))
    ringing.ring()
    return int(done.rowcount)  # type: ignore[attr-defined]


def read_again(post: InboundPost) -> None:
    """The same for one post. Inside a `transaction()`."""
    post.state, post.tries, post.next_try_at = PostState.new, 0, None
    ringing.ring()
