"""Real people to look at a mail with: for how many a merge field stays empty, and a handful to see it as."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, or_, select, true

from preference_center.campaigns import audience, experiments
from preference_center.campaigns.authoring import linting
from preference_center.campaigns.models import CampaignVersion
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.topics.models import Topic


@dataclass(frozen=True)
class Blank:
    """A merge field without a default that is empty for so many who may be mailed, and one of them."""

    field: str
    people: int
    example: str  # public id


def of(version: CampaignVersion, topic: Topic, at: datetime, also: ColumnElement[bool] | None = None) -> list[Blank]:
    """Counted in one statement; none where every field has a default or stands in a condition."""
    contents = (experiments.content_of(version, number) for number in range(experiments.count(version)))
    fields = sorted({name for content in contents for name in linting.bare_fields(content)})
    if not fields:
        return []
    judged = audience.verdicts(version, topic, at).where(true() if also is None else also).subquery()
    columns = []
    for name in fields:
        columns += [func.count(case((_empty(name), 1))), func.min(case((_empty(name), Contact.id)))]
    counted = db.session.execute(
        select(*columns)
        .select_from(Contact)
        .join(judged, judged.c.contact_id == Contact.id)
        .where(judged.c.reason.is_(None))
    ).one()
    pairs = zip(counted[::2], counted[1::2], strict=True)
    found = {name: (count, example) for name, (count, example) in zip(fields, pairs, strict=True) if count}
    wanted = select(Contact.id, Contact.public_id).where(Contact.id.in_([example for _, example in found.values()]))
    public = {number: public_id for number, public_id in db.session.execute(wanted)}  # noqa: C416
    return [Blank(name, count, public[example]) for name, (count, example) in found.items()]


def samples(
    version: CampaignVersion, topic: Topic, at: datetime, also: ColumnElement[bool] | None = None, limit: int = 4
) -> list[Contact]:
    """Some who may be mailed, the newest first."""
    judged = audience.verdicts(version, topic, at).where(true() if also is None else also).subquery()
    return list(
        db.session.scalars(
            select(Contact)
            .join(judged, judged.c.contact_id == Contact.id)
            .where(judged.c.reason.is_(None))
            .order_by(Contact.id.desc())
            .limit(limit)
        )
    )


def _empty(name: str) -> ColumnElement[bool]:
    text = Contact.attributes[name].as_string()
    return or_(text.is_(None), text == "")
