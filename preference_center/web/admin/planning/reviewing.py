"""What somebody looks at before they let a campaign go: each thing to fix or to know, and a few of the people who get it.

Each thing has a key; whoever sends it ticks them one by one, and the audit trail keeps which.
"""

import re
from dataclasses import dataclass

from flask import request
from flask_babel import gettext as _
from flask_babel import ngettext

from preference_center import clock
from preference_center.campaigns import blanks
from preference_center.campaigns.authoring.linting import Finding, Weight
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.campaigns.rendering import content
from preference_center.contacts.models import Contact
from preference_center.delivery.results import foretelling, reach
from preference_center.topics.models import Topic
from preference_center.web.admin.planning import previews
from preference_center.web.admin.words import count

_KEY = re.compile(r"[\w-]{1,80}")
SHOWN = 3  # real people whose mail is shown


@dataclass(frozen=True)
class Check:
    key: str
    weight: Weight
    words: str
    line: int | None = None
    example: str = ""  # public id of somebody whom it concerns


def checks(campaign: Campaign, version: CampaignVersion, topic: Topic, people: int) -> list[Check]:
    """Everything to be ticked, the worst first."""
    found = content.preview(version, None, "en").findings + foretelling.oddities(campaign, people, clock.now())
    empty = blanks.of(version, topic, clock.now(), reach.condition(version))
    told = [_of(finding) for finding in found if finding.code != "no_default"]  # said below, with how many it concerns
    told += [_of_blank(blank) for blank in empty]
    return sorted(told, key=lambda check: list(Weight).index(check.weight))


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


def number_is_wrong(asked_above: int) -> bool:
    """Whether the number of people had to be typed, above so many, and was not. Groups of digits may be parted as one likes."""
    meant = request.form.get("people", "")
    if not meant.isascii() or not meant.isdigit() or int(meant) <= asked_above:
        return False
    return re.sub(r"[\s.,'\u2019]", "", request.form.get("number", "")) != meant


def _of(finding: Finding) -> Check:
    return Check(finding.key, finding.weight, finding.message, finding.line)


def _of_blank(blank: blanks.Blank) -> Check:
    words = ngettext(
        "%(field)s is empty for %(number)s person",
        "%(field)s is empty for %(number)s people",
        blank.people,
        field=blank.field,
        number=count(blank.people),
    )
    return Check(f"empty-{blank.field}", Weight.know, words, example=blank.example)


def faults(to_tick: list[Check], missing: set[str], wrong_number: bool) -> dict[str, str]:
    """What is still to be done, by the place of it on the page."""
    first = next((check.key for check in to_tick if check.key in missing), None)
    found = {f"known-{first}": _("Tick each thing that you know of, or mend it.")} if first else {}
    return found | ({"number": _("Type how many people get it, as the page says it.")} if wrong_number else {})
