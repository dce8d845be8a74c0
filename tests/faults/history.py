"""What happened in a scenario, and the questions that judge it. Each returns what is wrong; nothing wrong is an empty set."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class History:
    """Everything by address. `states`: how each message ended; `accepted`: what the relay took, once for each time."""

    audience: set[str]
    states: dict[str, str]
    accepted: Counter[str]
    relay: list[dict[str, object]] = field(default_factory=list)

    def of(self, *states: str) -> set[str]:
        return {address for address, state in self.states.items() if state in states}


FINAL = {"sent", "delivered", "bounced", "complained", "failed", "skipped", "uncertain"}


def lost(history: History) -> set[str]:
    """Of the audience, without an ending (P1)."""
    return {address for address in history.audience if history.states.get(address) not in FINAL}


def copies(history: History) -> set[str]:
    """Mailed more than once (P2). We never send an uncertain one again, so there is no excuse."""
    return {address for address, count in history.accepted.items() if count > 1}


def untrue(history: History) -> set[str]:
    """Said to be sent though the relay never took it, or taken though we say neither sent nor uncertain."""
    taken = set(history.accepted)
    after = {"sent", "delivered", "bounced", "complained"}
    return (history.of(*after) - taken) | (taken - history.of(*after, "uncertain"))


def groundless(history: History) -> set[str]:
    """Uncertain, though the relay had not even heard their name: there was nothing to doubt."""
    named = {line.get("recipient") for line in history.relay if line["event"] == "rcpt"}
    return history.of("uncertain") - named


def never_sent(history: History, addresses: Iterable[str]) -> set[str]:
    """Of those who must get nothing (P3), the ones who did."""
    return set(addresses) & set(history.accepted)
