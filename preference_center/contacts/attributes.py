"""The attributes an owner declared: a key for merge fields, a name for people, and the kind of value each takes."""

import re
from typing import Any

from sqlalchemy import select

from preference_center import clock
from preference_center.contacts import mapping
from preference_center.contacts.models import Attribute, AttributeKind
from preference_center.db import db
from preference_center.errors import Conflict, Invalid


def declare(key: str, name: str = "", kind: AttributeKind | str = AttributeKind.text) -> Attribute:
    """An attribute that may be stored from now on. Declaring it again is fine as long as it is of the same kind."""
    faults = {}
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", key):
        faults["key"] = "Use small letters, digits and _, beginning with a letter, 40 at most."
    elif key in mapping.RESERVED:
        faults["key"] = f"{key} means something of ours in every mail; choose another key."
    if kind not in list(AttributeKind):
        faults["kind"] = f"Choose one of: {', '.join(AttributeKind)}."
    name = (name or key.replace("_", " ").capitalize()).strip()
    if len(name) > 80:
        faults["name"] = "Use 80 characters at most."
    if faults:
        raise Invalid("The attribute was not declared. " + " ".join(faults.values()), faults)
    there = db.session.get(Attribute, key)
    if there is not None:
        if there.kind != kind:
            raise Conflict(f"{key} was declared as {there.kind} already.")
        return there
    made = Attribute(key=key, name=name, kind=AttributeKind(kind), created_at=clock.now())
    db.session.add(made)
    db.session.flush()
    return made


def declared() -> dict[str, Attribute]:
    """All declared attributes by key, in the order of their names."""
    return {attribute.key: attribute for attribute in db.session.scalars(select(Attribute).order_by(Attribute.name))}


def written(value: Any) -> str:
    """A value as people read it: what a set holds, one after the other."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
