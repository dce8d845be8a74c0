"""Counts what browsers report of the pages' policy, by day and directive. A report may hold an address of ours, so nothing else is kept."""

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from preference_center import clock
from preference_center.db import db, is_postgresql
from preference_center.preferences.models import PolicyReport

DIRECTIVES = frozenset(
    f"{kind}-src{part}"
    for kind in (
        "default",
        "script",
        "style",
        "img",
        "font",
        "connect",
        "frame",
        "media",
        "object",
        "worker",
        "manifest",
    )
    for part in (("", "-elem", "-attr") if kind in ("script", "style") else ("",))
) | {"form-action", "frame-ancestors", "base-uri", "require-trusted-types-for", "trusted-types"}
OTHER = "other"
MOST = 20  # directives counted of one post


def count(directives: Iterable[str]) -> None:
    """Add one for each; a word that is no directive counts as `other`, so the table stays as small as the list of them."""
    counted = Counter(one if one in DIRECTIVES else OTHER for one in list(directives)[:MOST])
    day = clock.now().date().isoformat()
    insert = postgresql.insert if is_postgresql() else sqlite.insert
    for directive, number in sorted(counted.items()):
        statement = insert(PolicyReport).values(day=day, directive=directive, count=number)
        table = PolicyReport.__table__
        assert isinstance(table, Table)  # noqa: S101 - for the types
        db.session.execute(
            statement.on_conflict_do_update(
                index_elements=["day", "directive"], set_={"count": table.c.count + statement.excluded.count}
            )
        )
