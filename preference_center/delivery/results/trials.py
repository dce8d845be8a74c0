"""Experiments while they run: a share of the messages tries the contents, the rest waits, the winner goes to the rest.

Who waits is queued like anybody, only not due yet, so the figures close at every moment; a winner is chosen once.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, case, func, or_, select, update

from preference_center import clock, jobs
from preference_center.campaigns import experiments, queries
from preference_center.campaigns.experiments import LETTERS, Metric
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.consent.eligibility import Reason
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery import chunks
from preference_center.delivery.claimed import Claimed, Taken
from preference_center.delivery.composing import Composer, Written
from preference_center.delivery.events.models import PROVEN, DeliveryEvent
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.pace import waves
from preference_center.errors import Conflict, Invalid
from preference_center.providers.base import Kind
from preference_center.topics.models import Topic

NEVER = chunks.NEVER
_PICK_WITHIN = timedelta(days=7)  # where a person picks
_FOR_THE_REST = timedelta(hours=1)  # before the end, or what is due of it where that is near
# Who was put off has had their turn: a mailbox that is full for days keeps nobody else from their mail.
_UNTRIED = or_(Message.state == MessageState.sending, and_(Message.state == MessageState.queued, Message.attempt == 0))
_HANDED_OVER = (
    MessageState.sent,
    MessageState.delivered,
    MessageState.bounced,
    MessageState.complained,
    MessageState.uncertain,
)
_RUNS = (CampaignState.sending, CampaignState.paused)


@dataclass(frozen=True)
class Score:
    """How one content does: people who tried it, and what came of it. Openings and clicks of those who agreed to be seen."""

    variant: int
    people: int
    handed_over: int
    delivered: int
    opened: int
    clicked: int

    @property
    def letter(self) -> str:
        return LETTERS[self.variant]

    def by(self, metric: str) -> float:
        return getattr(self, metric) / self.handed_over if self.handed_over and metric != Metric.person else 0.0


def split(campaign: Campaign, version: CampaignVersion, after: int, to: int) -> None:
    """Give the queued messages of a range of contacts their content, or let them wait for the winner."""
    if not version.experiment:
        return
    campaign.decide_at = NEVER
    mine = select(Message.id, Message.contact_id).where(
        Message.campaign_id == campaign.id,
        Message.contact_id > after,
        Message.contact_id <= to,
        Message.state == MessageState.queued,
    )
    drawn = [(row.id, experiments.assigned(version, row.contact_id)) for row in db.session.execute(mine)]
    trying = [{"b_id": number, "b_variant": variant} for number, variant in drawn if variant is not None]
    waiting = [{"b_id": number} for number, variant in drawn if variant is None]
    for statement, rows in ((_TRY, trying), (_WAIT, waiting)):
        if rows:
            db.session.connection().execute(statement, rows)


def open_ones() -> list[int]:
    """Campaigns whose winner is not chosen yet."""
    undecided = (Campaign.decide_at.is_not(None), Campaign.winner.is_(None), Campaign.state == CampaignState.sending)
    return list(db.session.scalars(select(Campaign.id).where(*undecided)))


def look(campaign_id: int, now: datetime) -> None:
    """When each who tries it had their turn, the wait begins, or so early that it ends before the campaign does.

    When it is over, the winner is chosen, unless a person wants to pick.
    """
    campaign = queries.lock(campaign_id)
    if campaign.state is not CampaignState.sending or campaign.winner is not None or campaign.filled_at is None:
        return
    version = queries.version(campaign, campaign.approved_version)
    if campaign.decide_at == NEVER:
        wait = experiments.wait(version)
        latest = _latest(campaign, campaign.filled_at, wait)
        if now + wait < latest and _tried(campaign, _UNTRIED):
            return
        campaign.decide_at = min(now + wait, latest)
        campaign.last_wave_at = max(campaign.last_wave_at or now, campaign.decide_at + _PICK_WITHIN)
    if campaign.decide_at is None or now < campaign.decide_at:
        return
    if version.experiment["metric"] != Metric.person:
        _choose(campaign, best(scores(campaign), version.experiment["metric"]), now)
    elif now >= campaign.gives_up_at():  # nobody picked; without this it would wait for ever
        _release(campaign)
        chunks.close_waiting(campaign.id, Reason.too_late)


def waits_for_a_person(campaign: Campaign, now: datetime) -> bool:
    """Whether the wait is over and somebody is to pick the winner, before the campaign gives up."""
    if (
        campaign.decide_at is None
        or campaign.decide_at > now
        or campaign.winner is not None
        or campaign.state not in _RUNS
    ):
        return False
    return bool(queries.version(campaign, campaign.approved_version).experiment["metric"] == Metric.person)


def pick(campaign: Campaign, variant: int) -> None:
    """A person chooses the winner, before the time or instead of the figures. Conflict when there is one, or no experiment."""
    campaign = queries.lock(campaign.id)
    version = queries.version(campaign, campaign.approved_version)
    if campaign.decide_at is None or campaign.winner is not None or campaign.state not in _RUNS:
        raise Conflict("There is no winner to choose here, or it is chosen already.")
    if campaign.filled_at is None:
        raise Conflict("The people are still being gathered. Choose the winner in a moment.")
    if not 0 <= variant < experiments.count(version):
        raise Invalid(f"Choose one of {', '.join(LETTERS[: experiments.count(version)])}.", {"variant": "Unknown."})
    _choose(campaign, variant, clock.now())


def scores(campaign: Campaign) -> list[Score]:
    """The figures of each content, among those who tried it."""
    version = queries.version(campaign, campaign.approved_version)
    trying = (Message.campaign_id == campaign.id, Message.variant.is_not(None))
    counted = {
        row.variant: row
        for row in db.session.execute(
            select(
                Message.variant,
                func.count().label("people"),
                func.count(case((Message.state.in_(_HANDED_OVER), 1))).label("handed_over"),
                func.count(case((Message.state.in_([MessageState.delivered, MessageState.complained]), 1))).label(
                    "delivered"
                ),
            )
            .where(*trying)
            .group_by(Message.variant)
        )
    }
    seen = {
        (row.variant, row.kind): row.people
        for row in db.session.execute(
            select(Message.variant, DeliveryEvent.kind, func.count(func.distinct(Message.id)).label("people"))
            .join(Message, Message.id == DeliveryEvent.message_id)
            .where(*trying, DeliveryEvent.kind.in_([Kind.opened, Kind.clicked]))
            .where(DeliveryEvent.machine.is_(None), DeliveryEvent.matched_by.in_(PROVEN))
            .group_by(Message.variant, DeliveryEvent.kind)
        )
    }
    return [
        Score(
            number,
            row.people if (row := counted.get(number)) else 0,
            row.handed_over if row else 0,
            row.delivered if row else 0,
            seen.get((number, Kind.opened), 0),
            seen.get((number, Kind.clicked), 0),
        )
        for number in range(experiments.count(version))
    ]


def best(found: list[Score], metric: str) -> int:
    """The content with the highest share; of equal ones the first."""
    return max(found, key=lambda one: (one.by(metric), -one.variant)).variant


def with_contents(campaign: Campaign, taken: Taken) -> Taken:
    """The claimed messages of an experiment, each with its content: the one it tries, or the winner."""
    asked = select(Message.id, Message.variant).where(Message.id.in_(taken.ids))
    tries: dict[int, int | None] = dict(db.session.execute(asked).all())
    return replace(taken, variants={one: _first_of(tries.get(one), campaign.winner) for one in taken.ids})


def _first_of(own: int | None, winner: int | None) -> int:
    return own if own is not None else winner or 0


def composer(campaign: Campaign, version: CampaignVersion, topic: Topic) -> "Composer | Composers":
    """What writes the mails of a campaign: one content, or the one each message is to try."""
    if not version.experiment:
        return Composer(campaign, version, topic)
    return Composers(campaign, version, topic)


class Composers:
    """A composer for each content of an experiment."""

    def __init__(self, campaign: Campaign, version: CampaignVersion, topic: Topic) -> None:
        contents = (experiments.content_of(version, number) for number in range(experiments.count(version)))
        self._each = [Composer(campaign, one, topic) for one in contents]

    def write(self, claimed: Claimed) -> Written:
        return self._each[claimed.variant].write(claimed)


def _tried(campaign: Campaign, *conditions: Any) -> bool:
    mine = select(Message.id).where(Message.campaign_id == campaign.id, Message.variant.is_not(None), *conditions)
    return db.session.scalar(mine.limit(1)) is not None


def _latest(campaign: Campaign, filled_at: datetime, wait: timedelta) -> datetime:
    """The last moment for the winner: of the time beside the wait, half is for trying and half for mailing the rest.

    Where that is scarce the wait is cut, as late mail to most is worth more than its last minutes.
    """
    end = campaign.not_after or campaign.gives_up_at() + wait
    left = max(end - max(filled_at, campaign.updated_at), timedelta())
    return end - max((left - wait) / 2, min(_FOR_THE_REST, left / 4))


def _choose(campaign: Campaign, variant: int, now: datetime) -> None:
    """The rest gets it, each at the time that is right where they live."""
    campaign.winner, campaign.updated_at = variant, now
    waiting = (Message.campaign_id == campaign.id, Message.waits, Message.variant.is_(None))
    theirs = Contact.id.in_(select(Message.contact_id).where(*waiting))
    for zone, at in waves.due(campaign, theirs, now).items():
        live_there = select(Contact.id).where(waves.lives_in(zone))
        _move(update(Message).where(*waiting, Message.contact_id.in_(live_there)).values(next_try_at=at))
    _release(campaign)
    jobs.later(jobs.DELIVER, campaign.id)


def _release(campaign: Campaign) -> None:
    """Who still waits for the winner waits for nothing any more."""
    waiting = (Message.campaign_id == campaign.id, Message.waits, Message.next_try_at == NEVER)
    _move(update(Message).where(*waiting).values(next_try_at=None))


def _move(statement: Any) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))


_TABLE: Any = Message.__table__
_TRY = update(_TABLE).where(_TABLE.c.id == bindparam("b_id")).values(variant=bindparam("b_variant"))
_WAIT = update(_TABLE).where(_TABLE.c.id == bindparam("b_id")).values(next_try_at=NEVER)
