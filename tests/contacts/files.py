"""Makes files as people bring them, and runs them."""

import io
from typing import Any

from preference_center.consent.declaring import declared
from preference_center.contacts import imports
from preference_center.contacts.models import Import
from preference_center.db import db, transaction


def received(content: str | bytes, name: str = "people.csv", encoding: str = "utf-8") -> Import:
    """The file, uploaded."""
    raw = content.encode(encoding) if isinstance(content, str) else content
    with transaction():
        return imports.receive(io.BytesIO(raw), name, "user:abc")


def brought(content: str | bytes, **terms: Any) -> Import:
    """The file, uploaded and declared."""
    import_ = received(content)
    values: dict[str, Any] = {"source": "shop checkout"} | terms
    with transaction():
        declared.declare(import_, **values)
    return import_


def run(import_: Import, most_steps: int = 1_000_000) -> Import:
    """Run the file, or only so many steps of it, as a worker that dies after them would."""
    steps = declared.steps(import_.id)
    for step, _ in zip(steps, range(most_steps), strict=False):
        with transaction():
            step()
    steps.close()
    db.session.expire_all()
    return import_


def imported(content: str | bytes, **terms: Any) -> Import:
    return run(brought(content, **terms))


def reasons(import_: Import) -> list[tuple[int, str]]:
    """What was reported, as (line, field)."""
    return [(fault.line, fault.field) for fault in imports.faults(import_)]
