"""`campaigns show` and `campaigns people`: what a campaign is, its figures, which add up, and the row of each person."""

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
        from preference_center.delivery.results import comparing

        campaign = queries.by_public_id(id)
        figures: dict[str, Any] = {"state": str(campaign.state), **delivery.figures(campaign).as_dict()}
        lines, has_begun = _about(campaign), campaign.started_at is not None
        left = comparing.left_since(campaign) if has_begun else None
    if as_json:
        desk.print_json(figures)
        return
    for line in lines:
        click.echo(line)
    if has_begun:
        _tell({name: count for name, count in figures.items() if name != "state"})
    if left is not None:
        click.echo(f"Of those who got it, {left} left the topic since.")


@click.command(epilog="Example: preference-center campaigns compare 4fq2m7c3x5k6zr2a")
@click.argument("id")
@desk.as_json
def compare(id: str, as_json: bool) -> None:
    """An ended campaign beside the last five on its topic. `left`: those who got it and left the topic within a week."""
    with desk.app():
        from preference_center.campaigns import queries
        from preference_center.delivery.results import comparing
        from preference_center.errors import Conflict

        campaign = queries.by_public_id(id)
        if campaign.started_at is None or campaign.finished_at is None:
            raise Conflict(f"This campaign is {campaign.state}; only one that has ended can be compared.")
        found: list[dict[str, Any]] = [
            {
                "id": one.campaign.public_id,
                "name": one.campaign.name,
                "started_at": one.campaign.started_at,
                "handed_over": one.handed,
                "bounced": one.figures.bounced,
                "complained": one.figures.complained,
                "left": one.left,
            }
            for one in comparing.with_the_last(campaign)
        ]
    if as_json:
        desk.print_json(found)
        return
    columns = ("id", "name", "handed_over", "bounced", "complained", "left")
    desk.print_table(columns, [["–" if one[name] is None else one[name] for name in columns] for one in found], "")


@click.command(epilog="Example: preference-center campaigns people 4fq2m7c3x5k6zr2a --state skipped --json")
@click.argument("id")
@click.option("--state", default=None, help="Only those who are so: sent, skipped, failed …")
@click.option("--reason", default=None, help="Only those for this reason: no_consent, withdrawn …")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@desk.as_json
def people(id: str, state: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """A row for each person: what was decided and why, the consent record behind it, and what the relay said at each try."""
    with desk.app():
        from preference_center.campaigns import queries
        from preference_center.delivery import queries as delivery
        from preference_center.delivery.models import MessageState
        from preference_center.delivery.results import attempts

        if state is not None and state not in list(MessageState):
            raise click.UsageError(f"There is no state {state}. There are: {', '.join(MessageState)}.")
        wanted = MessageState(state) if state else None
        rows = delivery.rows(queries.by_public_id(id), state=wanted, reason=reason, limit=limit)
        records = delivery.records_of(message for message, _contact in rows)
        tried = attempts.of([message for message, _contact in rows])
        tries = [tried[message.id] for message, _contact in rows]
        found: list[dict[str, Any]] = [
            {
                "contact": contact.public_id,
                "email": contact.email,
                "state": str(message.state),
                "reason": message.reason,
                "record": records[message.record_id].public_id if message.record_id in records else None,
                "tries": message.attempt,
                "reply": next((one.reply for one in reversed(tried[message.id])), None),
                "attempts": [one._asdict() for one in tried[message.id]],
                "at": message.changed_at,
            }
            for message, contact in rows
        ]
    if as_json:
        desk.print_json(found)
        return
    columns = ("contact", "email", "state", "reason", "record", "tries", "replies")
    lines = [one | {"replies": " | ".join(each.reply for each in told)} for one, told in zip(found, tries, strict=True)]
    desk.print_table(columns, [[line[name] for name in columns] for line in lines], "Nobody.")


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
