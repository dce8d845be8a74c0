"""What is kept no longer than it is needed (S103, GDPR 5(1)(e)): one rule a class, counted first, deleted in small steps.

An unconfirmed sign-up is forgotten like an erased person, but without a mark: its owner may sign up again any time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select

from preference_center import clock
from preference_center.accounts.models import FailedSignIn
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, ConsentRecord, State, Subscription
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db
from preference_center.delivery import chunks
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.delivery.models import Message
from preference_center.delivery.results.attempts import Attempt
from preference_center.engines import empty_the_log
from preference_center.notices.models import Notice, NoticeState
from preference_center.privacy import address_change, erasure
from preference_center.privacy.models import DataRequest, RequestState, RightsLink
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from preference_center.webhooks.models import HookRefusal, InboundPost

STEP = 200  # rows a transaction: nobody waits long behind it
PEOPLE = 20  # likewise: every room forgets each of them, by a dozen statements


@dataclass(frozen=True)
class Rule:
    """A class of data, how long it is kept, which rows are over, and how one step of them goes."""

    name: str
    kept: timedelta | str  # or the setting that says how many days; 0: for ever
    over: Callable[[datetime], Any]  # SELECT of ids of what is older than that moment
    drop: Callable[[Sequence[int]], None]
    of_contacts: bool = False  # who may say something while we are at it

    @property
    def period(self) -> timedelta:
        if isinstance(self.kept, timedelta):
            return self.kept
        return timedelta(days=getattr(current_app.extensions["settings"], self.kept))

    def count(self) -> int:
        if not self.period:
            return 0
        over = self.over(clock.now() - self.period).subquery()
        return db.session.scalar(select(func.count()).select_from(over)) or 0

    def step(self) -> int:
        """Delete some, inside a `transaction()`; how many they were. 0: nothing older stays."""
        if not self.period:
            return 0
        over = self.over(clock.now() - self.period)
        ids = list(db.session.scalars(over.limit(PEOPLE if self.of_contacts else STEP)))
        if ids and self.of_contacts:
            chunks.hold_all_of(ids)
            contacts.lock(ids, for_withdrawal=True)
            ids = list(db.session.scalars(over.where(Contact.id.in_(ids))))
        if ids:
            self.drop(ids)
        empty_the_log()
        return len(ids)


def _unconfirmed(before: datetime) -> Any:
    """From our form, nothing but requests, the newest of them older than that; never mailed, restricted or dealt with otherwise."""
    own = ConsentRecord.contact_id == Contact.id
    more = or_(ConsentRecord.action != Action.requested, ConsentRecord.recorded_at >= before)
    mailed = exists().where(
        Message.contact_id == Contact.id, Message.attempt > 0
    )  # each campaign has a row for who is skipped
    return (
        select(Contact.id)
        .where(Contact.source.like("form:%"), Contact.erased_at.is_(None), Contact.restricted_at.is_(None))
        .where(Contact.created_at < before)
        .where(exists().where(own), ~exists().where(own, more), ~mailed)
        .order_by(Contact.id)
    )


def _former(before: datetime) -> Any:
    """Consent was all we had, and it ended before that moment: nothing is on, and nobody said or asked for anything since.

    What was said for a topic has ended when that is retired.
    Who never agreed to anything has no such clock, nor who was written to on any other basis too: they are a customer, or more.
    """
    own, said = Subscription.contact_id == Contact.id, ConsentRecord.contact_id == Contact.id
    retired = select(Topic.id).where(Topic.retired_at < before)
    holds = or_(and_(Subscription.state == State.given, Subscription.until.is_(None)), Subscription.until >= before)
    still = and_(Subscription.topic_id.not_in(retired), holds)
    begun = ConsentRecord.action.in_([Action.given, Action.confirmed, Action.renewed])
    besides = ConsentRecord.legal_basis.not_in([LegalBasis.consent, LegalBasis.double_opt_in])
    news = or_(ConsentRecord.action != Action.expired, ConsentRecord.topic_id.not_in(retired))
    since = and_(ConsentRecord.recorded_at >= before, news)
    asked = and_(DataRequest.contact_id == Contact.id, DataRequest.state == RequestState.open)
    return (
        select(Contact.id)
        .where(Contact.erased_at.is_(None), Contact.restricted_at.is_(None), Contact.created_at < before)
        .where(exists().where(said, begun), ~exists().where(said, or_(besides, since)))
        .where(exists().where(own), ~exists().where(own, still), ~exists().where(asked))
        .order_by(Contact.id)
    )


def _tried(before: datetime) -> Any:
    """Those of the erased too: during an upgrade a process of the version before erases people, and does not know this table."""
    erased = select(Contact.id).where(Contact.erased_at.is_not(None))
    return select(Attempt.id).where(or_(Attempt.at < before, Attempt.contact_id.in_(erased))).order_by(Attempt.id)


def _erase(ids: Sequence[int]) -> None:
    evidence = Evidence("system", "retention", actor="system")
    for contact in db.session.scalars(select(Contact).where(Contact.id.in_(ids))).all():
        erasure.erase(contact, evidence, by="system")


def _forget(ids: Sequence[int]) -> None:
    for contact in db.session.scalars(select(Contact).where(Contact.id.in_(ids))).all():
        erasure.forget(contact)


def _refused(before: date) -> Any:
    return select(HookRefusal.id).where(HookRefusal.day < before).order_by(HookRefusal.id)


def _older(model: Any, moment: Any, *conditions: ColumnElement[bool]) -> Callable[[datetime], Any]:
    return lambda before: select(model.id).where(moment < before, *conditions).order_by(model.id)


def _rows(model: Any) -> Callable[[Sequence[int]], None]:
    def drop(ids: Sequence[int]) -> None:
        db.session.execute(delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False))

    return drop


_ENDED = Notice.state.in_([NoticeState.sent, NoticeState.failed, NoticeState.dropped])

RULES = (
    Rule("unconfirmed_sign_ups", timedelta(days=7), _unconfirmed, _forget, of_contacts=True),
    Rule("former_contacts", "forget_after_days", _former, _erase, of_contacts=True),
    Rule("notices", timedelta(days=90), _older(Notice, Notice.created_at, _ENDED), _rows(Notice)),
    Rule("provider_posts", "post_days", _older(InboundPost, InboundPost.received_at), _rows(InboundPost)),
    Rule(
        "delivery_events", timedelta(days=730), _older(DeliveryEvent, DeliveryEvent.received_at), _rows(DeliveryEvent)
    ),
    Rule("message_attempts", timedelta(days=730), _tried, _rows(Attempt)),
    Rule("hook_refusals", timedelta(days=30), lambda before: _refused(before.date()), _rows(HookRefusal)),
    Rule("failed_sign_ins", timedelta(days=30), _older(FailedSignIn, FailedSignIn.at), _rows(FailedSignIn)),
    Rule("rights_links", timedelta(days=1), _older(RightsLink, RightsLink.created_at), _rows(RightsLink)),
    Rule(
        "address_changes",
        2 * address_change.UNDO_WITHIN,  # seven days to confirm, and seven more to take back
        _older(AddressChange, AddressChange.asked_at),
        _rows(AddressChange),
    ),
)


def report() -> dict[str, int]:
    """The dry run: how many of each class are over. Deletes nothing."""
    return {rule.name: rule.count() for rule in RULES}
