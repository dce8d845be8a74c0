"""GET /o/<token>.gif and /r/<token>: the image and the links of mail whose reader agreed to be seen.

The one place where a GET writes, and it writes nothing but the count the reader agreed to. HEAD counts nothing.
"""

import base64

from flask import redirect, request
from flask.typing import ResponseReturnValue

from preference_center.db import transaction
from preference_center.delivery.results import tracking
from preference_center.web.guards import DeadLink
from preference_center.web.public import pages

IMAGE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@pages.get("/o/<token>.gif")
def opening(token: str) -> ResponseReturnValue:
    """Always the same image: it does not tell whether anything was counted."""
    if request.method == "GET":
        with transaction():
            tracking.opened(token[:40], _agent())
    return IMAGE, 200, {"Content-Type": "image/gif"}


@pages.get("/r/<token>")
def following(token: str) -> ResponseReturnValue:
    name, _dash, link = token[:60].partition("-")
    url = tracking.target(name, link)
    if url is None:
        raise DeadLink("This link opens nothing.")
    if request.method == "GET":
        with transaction():
            tracking.clicked(name, url, _agent())
    return redirect(url, 302)


def _agent() -> str:
    """What fetched it: programs that look at every mail say so here."""
    return request.user_agent.string[:200]
