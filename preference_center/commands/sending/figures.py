"""`campaigns show`: what a campaign is, when it starts, and its figures, which add up."""

from typing import TYPE_CHECKING, Any

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.campaigns.models import Campaign


@click.command(epilog="Example: preference-center campaigns show 4fq2m7c3x5k6zr2a --json")
@click.argument("id")
@desk.as_json
def show(id: str, as_json: bool) -> None:
    """What it is, when it starts, and the figures, which add up to the audience at every moment."""
    with desk.app():
        from preference_center.campaigns import queries
        from preference_center.delivery import queries as delivery

        campaign = queries.by_public_id(id)
        figures: dict[str, Any] = {"state": str(campaign.state), **delivery.figures(campaign).as_dict()}
        lines, has_begun = _about(campaign), campaign.started_at is not None
    if as_json:
        desk.print_json(figures)
        return
    for line in lines:
        click.echo(line)
    if has_begun:
        _tell({name: count for name, count in figures.items() if name != "state"})


def _about(campaign: "Campaign") -> list[str]:
    from preference_center.campaigns import queries, timing
    from preference_center.db import db
    from preference_center.topics.models import Topic

    version = queries.version(campaign, campaign.approved_version)
    reason = f" ({campaign.pause_reason})" if campaign.pause_reason else ""
    lines = [
        f"{campaign.name}: {campaign.state}, version {version.number}{reason}",
        f"subject: {version.subject}",
        f"topic: {db.session.get_one(Topic, campaign.topic_id).key}",
        f"for: {version.segment or 'everyone who follows the topic'}",
    ]
    if version.audience:
        lines.append(
            f"of those who did not get {version.audience['missed_by']}: {', '.join(version.audience['reasons'])}"
        )
    if campaign.started_at is None and campaign.finished_at is None and campaign.scheduled_at is not None:
        lines.append(f"starts: {desk.local(campaign.scheduled_at)}")
        if plan := timing.plan_of(campaign):
            whose = f"in {plan.zone}" if plan.zone else "by the clocks where each person lives"
            lines.append(f"planned for {plan.wall:%Y-%m-%d %H:%M} {whose}")
        if campaign.moved_from:
            lines.append(
                f"moved: the rules of the zone or the calendar changed; before: {desk.local(campaign.moved_from)}"
            )
    moments = {"not after": campaign.not_after, "started": campaign.started_at, "ended": campaign.finished_at}
    return [*lines, *(f"{name}: {desk.local(moment)}" for name, moment in moments.items() if moment)]


def _tell(figures: dict[str, Any]) -> None:
    skipped = figures.pop("skipped")
    for part, count in figures.items():
        click.echo(f"{part:>18} {count:>9}")
    for why, count in skipped.items():
        click.echo(f"{'skipped, ' + why:>18} {count:>9}")
