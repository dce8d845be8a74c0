"""Asking for the confirmation once more: when it may be had, and how often. The page carries that, so it tells nothing of an address."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import current_app
from itsdangerous import BadData, URLSafeTimedSerializer

from preference_center import clock

WAIT = timedelta(seconds=60)
MOST = 2  # times, after the first mail; `confirmation.ask` keeps its own count by address
_LIFE = 24 * 3600


@dataclass(frozen=True)
class Asked:
    """A mail that was asked for from one page: when last, and how often again."""

    at: datetime
    times: int

    @property
    def seconds_to_wait(self) -> int:
        return max(0, round((self.at + WAIT - clock.now()).total_seconds()))

    @property
    def is_over(self) -> bool:
        return self.times >= MOST

    @property
    def may_send_again(self) -> bool:
        return not self.is_over and self.seconds_to_wait == 0


def after(asked: Asked | None) -> Asked:
    return Asked(clock.now(), asked.times + 1 if asked else 0)


def sign(asked: Asked) -> str:
    return str(_serializer().dumps([asked.at.timestamp(), asked.times]))


def read(text: str | None) -> Asked | None:
    """What an earlier page carried; none for the first one, and for anything we did not sign."""
    try:
        at, times = _serializer().loads(text or "", max_age=_LIFE)
    except BadData:
        return None
    return Asked(datetime.fromtimestamp(at, UTC), times)


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="pc.sign-up-sent.v1")
