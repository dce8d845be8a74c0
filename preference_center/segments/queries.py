"""How other rooms use a segment: its text in, a condition on Contact out. An erased contact is in no segment."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_

from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.segments import language
from preference_center.segments.rules import Rule


def read(text: str) -> Rule:
    """The rule, with today's declared attributes. Invalid, with the position, when the text is no rule."""
    return language.parse(text, contacts.declared_attributes())


def predicate(text: str, at: datetime) -> ColumnElement[bool]:
    """Who is meant, as a condition for `.where()`."""
    return and_(Contact.erased_at.is_(None), read(text).sql(at))
