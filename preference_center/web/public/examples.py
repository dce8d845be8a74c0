"""An example of each topic: the newest mail in the public archive, as a link beside the topic. None there: no link."""

import time

from flask import current_app, url_for

from preference_center.campaigns import archive
from preference_center.db import reading

_SECONDS = 5  # how long a process goes on with what it knows; asking for each page would cost each page a query


def href(key: str, language: str) -> str:
    """Where a mail of this topic can be read, by a page that speaks this language; empty where there is none."""
    return address(key, newest().get(key, ""), language)


def address(key: str, issue: str, language: str) -> str:
    """The same for an issue that was found already."""
    return url_for("public.archive_issue", key=key, issue=issue, lang=language) if issue else ""


def newest() -> dict[str, str]:
    """The public id of that mail by topic, where there is one."""
    known: tuple[float, dict[str, str]] | None = current_app.extensions.get("examples")
    if known is None or known[0] < time.monotonic():
        with reading() as connection:
            known = current_app.extensions["examples"] = (time.monotonic() + _SECONDS, archive.newest(connection))
    return known[1]
