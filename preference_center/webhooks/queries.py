"""How the inbox stands: what waits, what could not be read, and what needs a person. For `doctor` and the console."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from preference_center import clock
from preference_center.db import db
from preference_center.delivery.events import queries as events
from preference_center.delivery.events import reputation
from preference_center.errors import NotFound
from preference_center.webhooks import mailbox, refusals
from preference_center.webhooks.models import InboundPost, PostState

LATE = timedelta(minutes=5)
LATELY = timedelta(days=7)


@dataclass(frozen=True)
class Standing:
    """What somebody may have to see to."""

    waiting: int  # posts that were not read though five minutes have passed
    unreadable: int  # of the last seven days
    failed: int
    held: dict[str, int]  # events that wait for a person, by source
    unmatched: int  # of the last seven days
    refused: dict[tuple[str, str], int]  # posts of today, by provider and reason
    complaints: reputation.Complaints

    @property
    def troubles(self) -> list[str]:
        """In words, each with what to do; the weightiest first."""
        found = []
        for source, count in self.held.items():
            found.append(
                f"{count} events of {source} came too fast to be believed and wait for a person: "
                f"look with `pc events list --effect held`, then `pc events release --held --source {source}` or `--drop`."
            )
        if self.complaints.warns:
            found.append(
                f"{self.complaints.rate:.2%} of the people mailed in the last seven days called it spam "
                f"({self.complaints.complained} of {self.complaints.taken}); mailbox providers want it below 0.1 %."
            )
        if self.waiting:
            found.append(f"{self.waiting} posts wait to be read for more than five minutes: is a worker running?")
        if self.failed:
            found.append(
                f"{self.failed} posts could not be read for a fault of ours; `pc events replay` after an update."
            )
        if self.unreadable:
            found.append(
                f"{self.unreadable} posts of the last seven days were not of the shape their provider promises."
            )
        for (provider, reason), count in sorted(self.refused.items(), key=lambda item: -item[1])[:3]:
            what = "mails were not kept" if provider == mailbox.SOURCE else f"posts to /hooks/{provider} were refused"
            found.append(f"{count} {what} today: {reason}.")
        return found


def standing() -> Standing:
    now = clock.now()
    week = now - LATELY
    return Standing(
        waiting=_count(PostState.new, before=now - LATE),
        unreadable=_count(PostState.unreadable, since=week),
        failed=_count(PostState.failed),
        held=events.held(),
        unmatched=sum(events.unmatched(week).values()),
        refused=refusals.today(),
        complaints=reputation.lately(),
    )


def of_event(post_id: int | None) -> InboundPost | None:
    """The stored post an event was read from, while it is kept."""
    return db.session.get(InboundPost, post_id) if post_id is not None else None


def by_public_id(public_id: str) -> InboundPost:
    found = db.session.scalar(select(InboundPost).where(InboundPost.public_id == public_id))
    if found is None:
        raise NotFound("There is no such post; they are deleted after some time.")
    return found


def unread(limit: int) -> list[InboundPost]:
    """Posts that nobody could read yet, the newest first."""
    wanted = select(InboundPost).where(InboundPost.state.in_([PostState.unreadable, PostState.failed]))
    return list(db.session.scalars(wanted.order_by(InboundPost.id.desc()).limit(limit)))


def _count(state: PostState, before: datetime | None = None, since: datetime | None = None) -> int:
    counted = select(func.count()).select_from(InboundPost).where(InboundPost.state == state)
    if before is not None:
        counted = counted.where(InboundPost.received_at < before)
    if since is not None:
        counted = counted.where(InboundPost.received_at >= since)
    return db.session.scalar(counted) or 0
