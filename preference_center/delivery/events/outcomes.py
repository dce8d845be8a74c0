"""What each kind of event does: one small function a kind. The order in which events come makes no difference."""

from collections.abc import Callable
from dataclasses import dataclass

from preference_center.delivery.events.correlating import Match
from preference_center.delivery.events.effects import Effects, Source
from preference_center.delivery.models import MessageState
from preference_center.providers.base import BounceClass, Kind
from preference_center.suppressions.models import Cause


@dataclass(frozen=True, slots=True)
class Case:
    """One event and what it is about."""

    kind: Kind
    match: Match
    source: Source
    bounce_class: BounceClass | None = None
    scope_all: bool = False


def apply(case: Case, effects: Effects) -> None:
    """Gather what this event comes to."""
    if case.match.left:
        effects.left(case.match.message_id)
    OUTCOMES[case.kind](case, effects)


def accepted(case: Case, effects: Effects) -> None:
    """It left. Kinds that say no more than that do this too: it settles a message in doubt."""
    effects.end(case.match.message_id, MessageState.sent)


def delivered(case: Case, effects: Effects) -> None:
    effects.end(case.match.message_id, MessageState.delivered)


def bounced(case: Case, effects: Effects) -> None:
    """Hard: the address is dead. Soft: counted later (softness.py). Block: our trouble, and no word about the address."""
    why = case.bounce_class or BounceClass.soft
    effects.end(case.match.message_id, MessageState.bounced, str(why))
    if why is BounceClass.hard:
        effects.suppress(case.match.contact_id, case.match.address_hash, Cause.bounce, case.source)


def rejected(case: Case, effects: Effects) -> None:
    """The provider never tried: its own list. That is no new fact about the person."""
    effects.end(case.match.message_id, MessageState.failed, "rejected")


def complained(case: Case, effects: Effects) -> None:
    """A person who presses "spam" wants nothing more of us, on any topic. Another in whose mailbox it lay speaks for that alone."""
    effects.end(case.match.message_id, MessageState.complained)
    effects.suppress(case.match.contact_id, case.match.address_hash, Cause.complaint, case.source)
    if not case.match.of_another:
        effects.leave(case.match.contact_id, None, case.source)


def unsubscribed(case: Case, effects: Effects) -> None:
    """The topic of the message; everything, where the person said so or the message is not known."""
    accepted(case, effects)
    effects.leave(case.match.contact_id, None if case.scope_all else case.match.topic_id, case.source)


def nothing(case: Case, effects: Effects) -> None:
    """Kept and counted."""


OUTCOMES: dict[Kind, Callable[[Case, Effects], None]] = {
    Kind.accepted: accepted,
    Kind.delivered: delivered,
    Kind.deferred: accepted,
    Kind.bounced: bounced,
    Kind.rejected: rejected,
    Kind.complained: complained,
    Kind.unsubscribed: unsubscribed,
    Kind.opened: accepted,
    Kind.clicked: accepted,
    Kind.auto_replied: accepted,
    Kind.provider_reactivated: nothing,  # somebody lifted the provider's suppression; ours stands (S118)
    Kind.unknown: nothing,
}
