"""A limit to how many mails of one message are kept in a day, so that a mail loop, or whoever holds one of its marks, fills no disk.

A few of each meaning: a loop of absence notes leaves room for the complaint that comes the same day. What is not kept would have said
again what those before it said, so nothing is lost but its bytes; it is counted (`queries.standing` tells). Letters that only a person
can read may each say something else, so far more of them are kept.
"""

from collections.abc import Iterator
from datetime import datetime

import structlog
from sqlalchemy import select

from preference_center.db import db
from preference_center.providers.base import Post
from preference_center.webhooks import inbox, refusals
from preference_center.webhooks.models import InboundPost

log = structlog.get_logger()

EACH = 8  # of one message, one meaning and one day
LETTERS = 100  # of one message and one day, whose meaning only a person can tell
CUT_AT = 64 * 1024  # bytes of any but the first; a report has said everything by then
REASON = "too many of one message that say the same"


def keep(source: str, way: str, post: Post, now: datetime, *, about: str, each: int = EACH) -> bool:
    """Store a mail `about` a message and a meaning, unless enough of these lie there already; whether it lies there."""
    if _lies_there(source, post):
        return True
    for number, place in _free(source, f"{about} {now:%Y-%m-%d}", each):
        given = post if number == 0 else Post(post.method, post.url, post.headers, post.body[:CUT_AT])
        inbox.keep(source, way, given, now, once=place)
        if _lies_there(source, given):  # else another process was quicker at this place
            return True
    refusals.add(source, REASON)
    log.warning("mail.too_many", about=about)
    return False


def _free(source: str, about: str, each: int) -> Iterator[tuple[int, str]]:
    """The places of this day that nothing stands in, each good once. They are looked up one by one: there is no counting of rows."""
    places = [f"{about} {number}" for number in range(each)]
    keyed = [inbox.keyed(b"once", place.encode()) for place in places]
    with db.engine.connect() as connection:
        taken = set(
            connection.scalars(
                select(InboundPost.once).where(InboundPost.provider == source, InboundPost.once.in_(keyed))
            )
        )
    yield from ((number, place) for number, place in enumerate(places) if keyed[number] not in taken)


def _lies_there(source: str, post: Post) -> bool:
    digest = inbox.keyed(b"body", post.body)
    with db.engine.connect() as connection:
        found = select(InboundPost.id).where(InboundPost.provider == source, InboundPost.digest == digest)
        return connection.scalar(found) is not None
