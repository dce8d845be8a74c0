"""What somebody is to know of a campaign before it goes: what its mail lacks, for whom a field is empty, what is odd in its audience."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select

from preference_center.campaigns import audience, blanks, experiments
from preference_center.campaigns.audience import Funnel
from preference_center.campaigns.authoring.linting import Finding, Weight
from preference_center.campaigns.experiments import Metric
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.campaigns.rendering import content
from preference_center.consent import tracking
from preference_center.consent.models import State, Subscription
from preference_center.db import db
from preference_center.delivery.results import foretelling, reach
from preference_center.topics.models import Topic

_SEEN = {Metric.clicked: "clicks", Metric.opened: "openings"}
_SOME = 1000  # people


@dataclass(frozen=True)
class Check:
    """One thing, and the key by which somebody says that they know of it."""

    key: str
    weight: Weight
    message: str
    line: int | None = None
    example: str = ""  # public id of somebody whom it concerns


def of(campaign: Campaign, version: CampaignVersion, topic: Topic, people: int, at: datetime) -> list[Check]:
    """All of them, the worst first; `people` get it."""
    findings = _of_contents(version) + foretelling.oddities(campaign, people, at)
    findings += _of_trial(version, topic, at) if people else []
    told = [
        _of(one) for one in findings if one.code != "no_default" or not people
    ]  # said below, with how many it concerns
    told += [_of_blank(blank) for blank in blanks.of(version, topic, at, reach.condition(version))]
    return sorted(told, key=lambda check: list(Weight).index(check.weight))


def funnel(version: CampaignVersion, topic: Topic, at: datetime) -> Funnel:
    """Who gets this version, and why not more."""
    also = reach.condition(version) if version.audience else None
    return audience.funnel(topic, audience.rule(version), at, also)


def _of_contents(version: CampaignVersion) -> list[Finding]:
    """What is to be said of each content that is tried; of the others, with their letter, what cannot be said of the first."""
    found = content.lint(version)
    said = {one.key for one in found}
    for letter in experiments.letters(version)[1:]:
        own = [one for one in content.lint(experiments.named(version, letter)) if one.key not in said]
        found += [replace(one, message=f"{letter}: {one.message}") for one in own]
    return found


def _of_trial(version: CampaignVersion, topic: Topic, at: datetime) -> list[Finding]:
    """That nobody's clicks or openings are counted, where these are to say who wins."""
    metric = version.experiment.get("metric") if version.experiment else None
    if metric not in _SEEN:
        return []
    if (switch := tracking.topic()) is None:
        why = "they are not counted here: nobody is asked to agree to it"
    elif not _is_anybody_seen(version, topic, switch, at):
        why = "nobody who gets it has agreed to be counted"
    else:
        return []
    words = f"The test is to be decided by {_SEEN[metric]}, but {why}. Without figures A goes to everybody else: choose another way."
    return [Finding("no_figures", Weight.fix, words)]


def _is_anybody_seen(version: CampaignVersion, topic: Topic, switch: Topic, at: datetime) -> bool:
    """Whether somebody who gets it may be followed; looked for among the first of those who ever agreed."""
    judged = audience.verdicts(version, topic, at).where(reach.condition(version)).subquery()
    agreed = (
        select(Subscription.contact_id)
        .join(judged, judged.c.contact_id == Subscription.contact_id)
        .where(judged.c.reason.is_(None), Subscription.topic_id == switch.id, Subscription.state == State.given)
    )
    some = db.session.scalars(agreed.limit(_SOME))
    return bool(tracking.consenting(set(some), at))


def _of(finding: Finding) -> Check:
    return Check(finding.key, finding.weight, finding.message, finding.line)


def _of_blank(blank: blanks.Blank) -> Check:
    people = "1 person" if blank.people == 1 else f"{blank.people} people"
    return Check(
        f"empty-{blank.field}", Weight.know, f"{blank.field} is empty for {people} who get it.", example=blank.example
    )
