"""The consent to be seen opening and clicking: apart from every consent to mail, off until a person ticks its own box.

Where the owner offers it, it is a topic of the purpose `tracking`, with its own text in each language; no mail goes on it. Without
such a topic nobody is ever asked, and nothing is followed.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select

from preference_center import i18n
from preference_center.consent import eligibility, wordings
from preference_center.consent.eligibility import Reason
from preference_center.consent.models import State, Subscription
from preference_center.db import among, db
from preference_center.i18n import gettext as _
from preference_center.prepared import Prepared
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText

KEY = PURPOSE = "tracking"
_NOT_ABOUT_THIS = (None, Reason.paused_by_contact, Reason.frequency_cap)  # these say when to mail, not what is agreed


def offer() -> Topic:
    """Give people the switch, on the preference page and the sign-up form. It is off for everybody: an earlier one that was taken
    away has ended, with every yes that was said to it."""
    there = topic()
    if there is not None:
        return there
    texts = {}
    for language in i18n.LANGUAGES:
        with i18n.in_language(language):
            texts[language] = TopicText(
                language=language,
                name=_("Counting opens and clicks"),
                description=_("We use it to write less of what nobody reads. Your emails are the same without it."),
            )
    earlier = db.session.scalar(select(func.count()).where(Topic.purpose_key == PURPOSE)) or 0
    made = catalogue.add(f"{KEY}-{earlier + 1}" if earlier else KEY, texts, PURPOSE)
    wordings.publish_defaults(made)
    return made


def stop() -> None:
    """Nothing is followed any more, also in mail that was sent already, and for good: whoever is offered it again is asked anew."""
    there = topic()
    if there is not None:
        catalogue.retire(there)


def topic() -> Topic | None:
    """The switch, where the owner offers it."""
    offered = select(Topic).where(Topic.purpose_key == PURPOSE, Topic.retired_at.is_(None))
    return db.session.scalar(offered.order_by(Topic.id).limit(1))


def consenting(contact_ids: Collection[int], at: datetime) -> set[int]:
    """Who of these may be followed now. The one judge is asked, for those who ever said yes."""
    switch = topic()
    if switch is None:
        return set()
    own = (Subscription.topic_id == switch.id, among(Subscription.contact_id, contact_ids))
    said = list(db.session.scalars(select(Subscription.contact_id).where(*own, Subscription.state == State.given)))
    verdicts = eligibility.verdicts(switch, said, at) if said else {}
    return {contact_id for contact_id, verdict in verdicts.items() if verdict.reason in _NOT_ABOUT_THIS}


# Its id, if there is one: for those who ask for many at once, beside other things, and mostly hear of none.
OFFERED = Prepared(select(Topic.id).where(Topic.purpose_key == PURPOSE, Topic.retired_at.is_(None)).limit(1))
