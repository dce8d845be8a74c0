"""POST /csp: browsers say here that a page broke its policy (ASVS V3.4.7). Only a count is kept, and only so many are taken."""

import json
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.db import transaction
from preference_center.preferences import policy_reports
from preference_center.web.guards import limiter
from preference_center.web.public import pages


@pages.post("/csp")
@limiter.limit("30 per minute")
def policy_broken() -> ResponseReturnValue:
    found = _directives(_sent())
    if found:
        with transaction():
            policy_reports.count(found)
    return "", 204


def _sent() -> Any:
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError):  # no JSON, or thousands of brackets
        return None


def _directives(sent: Any) -> list[str]:
    """Of the older form (`report-uri`: one object) and of the newer (`report-to`: a list)."""
    if isinstance(sent, dict):
        bodies = [sent.get("csp-report")]
    else:
        bodies = [one.get("body") for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []
    names = ("effective-directive", "violated-directive", "effectiveDirective")
    said = [next((b[n] for n in names if isinstance(b.get(n), str)), None) for b in bodies if isinstance(b, dict)]
    return [text.split(" ")[0] for text in said if text]
