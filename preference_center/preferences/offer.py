"""What there is to choose: all topics, and the consent texts beside them, as this process knows them for a moment.

A change made by this process shows at once, one made by another after two seconds. Consent rests on the very text that was shown,
whichever that was: the page names its id, and the ledger's record carries it.
"""

import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import current_app, has_app_context
from sqlalchemy import event

from preference_center.consent import standing, wordings
from preference_center.consent.models import Wording
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText

_SECONDS = 2
_MOST_DRAWN = 300  # whole pages
_Drawn = TypeVar("_Drawn")


@dataclass
class Offer:
    """Topics in the owner's order, the retired ones last. Texts are looked up when they are first asked for."""

    topics: list[Topic]
    _apart: bool = False
    _in_force: dict[str, dict[int, Wording]] = field(default_factory=dict)
    _by_id: dict[int, Wording | None] = field(default_factory=dict)
    _drawn: dict[Hashable, Any] = field(default_factory=dict)

    def in_force(self, language: str) -> dict[int, Wording]:
        """The texts that turning a topic on in this language would rest on, by topic id."""
        if language not in self._in_force:
            with _session(self._apart):
                self._in_force[language] = wordings.current_of(self.topics, language)
        return self._in_force[language]

    def text(self, wording_id: int | None) -> Wording | None:
        """A text in whatever version it was shown."""
        if wording_id is None:
            return None
        if wording_id not in self._by_id:
            with _session(self._apart):
                self._by_id[wording_id] = standing.texts([wording_id]).get(wording_id)
        return self._by_id[wording_id]

    def once(self, key: Hashable, draw: Callable[[], _Drawn]) -> _Drawn:
        """What follows from this offer and the key alone, so it is made once and goes when the offer does."""
        drawn: _Drawn | None = self._drawn.get(key)
        if drawn is None:
            drawn = draw()
            if len(self._drawn) < _MOST_DRAWN:
                self._drawn[key] = drawn
        return drawn


def now() -> Offer:
    """As it is in the database, for whoever is about to change something."""
    return Offer(catalogue.everything())


def lately() -> Offer:
    """As it was two seconds ago at most, to be shown."""
    known: tuple[float, Offer] | None = current_app.extensions.get("offer")
    if known is None or known[0] < time.monotonic():
        with _session(apart=True):
            known = (time.monotonic() + _SECONDS, Offer(catalogue.everything(), _apart=True))
        current_app.extensions["offer"] = known
    return known[1]


def topic(key: str) -> Topic:
    """A topic by its key, which never changes. NotFound when there is none."""
    return next((topic for topic in lately().topics if topic.key == key), None) or catalogue.by_key(key)


def _session(apart: bool) -> AbstractContextManager[object]:
    """What is kept longer than a request is read in a session of its own, which lets go of it."""
    return current_app.app_context() if apart else nullcontext()


def _forget(*_changed: Any) -> None:
    if has_app_context():
        current_app.extensions.pop("offer", None)


for _model in (Topic, TopicText, Wording):
    for _change in ("after_insert", "after_update", "after_delete"):
        event.listen(_model, _change, _forget)
