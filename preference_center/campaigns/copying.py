"""A campaign out of another one: the content as it was sent or last written, in a draft of its own."""

from typing import Any

from preference_center.campaigns import experiments, queries, scheduling
from preference_center.campaigns.models import Campaign
from preference_center.campaigns.rendering import compiling
from preference_center.db import db
from preference_center.topics.models import Topic


def duplicate(campaign: Campaign, name: str = "", actor: str = "") -> Campaign:
    """The same content and rule once more, as a draft; of an experiment the winner, and without one the whole experiment."""
    return copy(campaign, name or f"{campaign.name} (copy)", actor, kind="copy")


def copy(campaign: Campaign, name: str, actor: str, *, kind: str, **changes: Any) -> Campaign:
    """A draft made of the version that was approved, else of the newest. It is compiled anew: what is refused today stays out."""
    version = queries.version(campaign, campaign.approved_version)
    written = experiments.content_of(version, campaign.winner)  # of an experiment, what won
    fields = {field: getattr(written, field) for field in experiments.VARIED} | {"segment": version.segment}
    fields["experiment"] = version.experiment if kind == "copy" and campaign.winner is None else {}
    fields |= {"audience": version.audience if kind == "copy" else {}, **changes}
    origin = f"{kind} {campaign.public_id}"
    if before := fields["audience"].get("missed_by"):
        # a copy of a "once more" is one itself: whom it reaches, no later one reaches again
        origin = f"resend {before}"
    return scheduling.create(
        compiling.printable(name)[:120],  # names that are older than the rule may hold others
        db.session.get_one(Topic, campaign.topic_id),
        **fields,
        actor=actor,
        made_from=f"{origin} v{version.number}",
    )
