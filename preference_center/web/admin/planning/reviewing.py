"""What somebody looks at before they let a campaign go: each thing to fix or to know, and a few of the people who get it.

Each thing has a key; whoever sends it ticks them one by one, and the audit trail keeps which.
"""

import re

from flask import request
from flask_babel import gettext as _

from preference_center.campaigns.models import CampaignVersion
from preference_center.contacts.models import Contact
from preference_center.delivery.results.checks import Check
from preference_center.topics.models import Topic
from preference_center.web.admin.planning import previews

_KEY = re.compile(r"[\w-]{1,80}")
SHOWN = 3  # real people whose mail is shown


def people(version: CampaignVersion, topic: Topic) -> list[Contact]:
    """Some of those who get it; among them one for whom a field is empty, where there are such."""
    some, empty = previews.people(version, topic)
    odd = [one for one in some if one.public_id in {blank.example for blank in empty}]
    return [*some[: SHOWN - len(odd[:1])], *odd[:1]] if odd and odd[0] not in some[:SHOWN] else some[:SHOWN]


def unticked(to_tick: list[Check]) -> set[str]:
    """The keys of what was not ticked."""
    return {check.key for check in to_tick} - set(ticked())


def ticked() -> list[str]:
    return sorted({key for key in request.form.getlist("known") if _KEY.fullmatch(key)})


def number_is_wrong(people: int, asked_above: int) -> bool:
    """Whether so many people, counted just now, had to be typed and were not, give or take 1 %. Digits may be grouped as one likes."""
    if people <= asked_above:
        return False
    typed = re.sub(r"[\s.,'\u2019]", "", request.form.get("number", ""))
    if not re.fullmatch("[0-9]{1,12}", typed):
        return True
    return abs(int(typed) - people) * 100 > people


def faults(to_tick: list[Check], missing: set[str], wrong_number: bool) -> dict[str, str]:
    """What is still to be done, by the place of it on the page."""
    first = next((check.key for check in to_tick if check.key in missing), None)
    found = {f"known-{first}": _("Tick each thing that you know of, or mend it.")} if first else {}
    return found | ({"number": _("Type how many people get it, as the page says it.")} if wrong_number else {})
