"""`campaigns`: written, scheduled, stopped and looked at from the command line."""

from datetime import UTC, datetime
from typing import Any, TextIO

import click

from preference_center.commands import desk
from preference_center.commands.sending import contents, editing, figures, looking
from preference_center.commands.sending.reconciling import reconcile


class Time(desk.Moment):
    """A moment, or, as long as no zone is said, the time on a wall clock."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        moment = super().convert(value, param, ctx)
        typed = datetime.fromisoformat(value) if isinstance(value, str) and value != "now" else moment
        return typed if typed.tzinfo is None else moment


@click.group(epilog="Example: preference-center campaigns show 4fq2m7c3x5k6zr2a --json")
def campaigns() -> None:
    """Campaigns."""


@campaigns.command(
    epilog='Example: preference-center campaigns create --name "Spring" --topic news --subject "Spring is here" --markdown spring.md'
)
@click.option("--name", required=True, help="For you; people do not see it.")
@click.option("--topic", "topic_key", required=True, help="Who follows this topic may get it.")
@click.option("--subject", required=True, help="The subject line; merge fields are allowed.")
@contents.options
@click.option(
    "--segment",
    "include",
    multiple=True,
    metavar="NAME|TEXT",
    help="Whom it is meant for: a segment or a rule; default: everyone. May be repeated. Consent is asked in any case.",
)
@click.option(
    "--try",
    "experiment",
    type=click.File(encoding="utf-8"),
    help="Other contents to try first, as JSON: share, metric, wait_minutes, variants.",
)
@click.option("--exclude", multiple=True, metavar="NAME|TEXT", help="Whom it is not meant for. May be repeated.")
def create(
    name: str,
    topic_key: str,
    subject: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    experiment: TextIO | None,
    **given: Any,
) -> None:
    """Write a draft; prints its id. What cannot be rendered is refused with its line."""
    content = contents.read(given, needed=True)
    tried = contents.experiment(experiment) if experiment else {}
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import scheduling
        from preference_center.db import transaction
        from preference_center.segments import queries as segments
        from preference_center.topics import catalogue

        with transaction():
            campaign = scheduling.create(
                name,
                catalogue.by_key(topic_key),
                subject,
                **content,
                segment=segments.choose(include, exclude),
                experiment=tried,
                actor=desk.ACTOR,
            )
            audit.note(desk.ACTOR, "campaign.created", "campaign", campaign.public_id)
            public_id = campaign.public_id
    click.echo(public_id)


@campaigns.command(
    epilog="Example: preference-center campaigns schedule 4fq2m7c3x5k6zr2a --at 2026-12-01T09:00 --zone theirs"
)
@click.argument("id")
@click.option("--at", type=Time(), default=None, help="When; default: now. With --zone, a time by the clocks there.")
@click.option(
    "--zone", default="", metavar="ZONE", help="Whose clocks --at means: Europe/Warsaw, or `theirs`: each person's own."
)
@click.option("--not-after", type=desk.Moment(), default=None, help="What still waits then is not sent any more.")
@click.option("--version", type=int, default=None, help="The version that is approved; default: the newest.")
def schedule(id: str, at: datetime | None, zone: str, not_after: datetime | None, version: int | None) -> None:
    """Approve the content, freeze it, and send it now or at the time given."""
    from preference_center import clock

    if zone and (at is None or at.tzinfo is not None):
        raise click.UsageError("--zone says whose clocks --at means: give both, and no other zone behind the time.")
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import queries, scheduling, timing
        from preference_center.db import transaction

        when: datetime | timing.Plan = at.astimezone(UTC) if at else clock.now()
        if zone and at is not None:
            when = timing.plan(at, "" if zone == "theirs" else zone)
        with transaction():
            campaign = queries.by_public_id(id)
            scheduling.schedule(campaign, when, version=version, not_after=not_after, actor=desk.ACTOR)
            begins, number = campaign.scheduled_at, campaign.approved_version
            audit.note(
                desk.ACTOR, "campaign.scheduled", "campaign", id, version=number, at=begins and begins.isoformat()
            )
        jumps = when.shifted() if isinstance(when, timing.Plan) else {}
        is_now = begins is None or begins <= clock.now()
    for place, shift in jumps.items():
        what = (
            "jump over that time: it goes out later by as much"
            if shift == "skipped"
            else "show that time twice: the first counts"
        )
        click.echo(f"{place}: the clocks {what}.", err=True)
    click.echo(f"Campaign {id} is scheduled for {'now' if is_now or begins is None else desk.local(begins)}.")


campaigns.add_command(reconcile)


@campaigns.command(epilog="Example: preference-center campaigns pause 4fq2m7c3x5k6zr2a")
@click.argument("id")
def pause(id: str) -> None:
    """Stop sending for now. What is on the wire still leaves: one mail for each connection."""
    _move(id, "pause")
    click.echo(f"Campaign {id} is paused.")


@campaigns.command(epilog="Example: preference-center campaigns resume 4fq2m7c3x5k6zr2a")
@click.argument("id")
def resume(id: str) -> None:
    """Go on with a paused campaign."""
    _move(id, "resume")
    click.echo(f"Campaign {id} goes on.")


@campaigns.command(epilog="Example: preference-center campaigns cancel 4fq2m7c3x5k6zr2a")
@click.argument("id")
def cancel(id: str) -> None:
    """End a campaign for good: nobody else gets it. Who has it, has it."""
    _move(id, "cancel")
    click.echo(f"Campaign {id} is cancelled.")


@campaigns.command(epilog="Example: preference-center campaigns unschedule 4fq2m7c3x5k6zr2a")
@click.argument("id")
def unschedule(id: str) -> None:
    """Make a scheduled campaign a draft again, as long as it has not started."""
    _move(id, "unschedule")
    click.echo(f"Campaign {id} is a draft again.")


@campaigns.command("list", epilog="Example: preference-center campaigns list --limit 10")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@desk.as_json
def list_(limit: int, as_json: bool) -> None:
    """The newest campaigns, with the ids that the other commands take."""
    with desk.app():
        from preference_center.campaigns import queries

        found = [{"id": one.public_id, "state": str(one.state), "name": one.name} for one in queries.newest(limit)]
    if as_json:
        desk.print_json(found)
        return
    nothing = "There are no campaigns yet: campaigns create makes one."
    desk.print_table(("id", "state", "name"), [tuple(row.values()) for row in found], nothing)


campaigns.add_command(editing.edit)
for look in (looking.check, looking.preview, looking.content, looking.versions):
    campaigns.add_command(look)
campaigns.add_command(figures.show)
campaigns.add_command(figures.people)
campaigns.add_command(figures.compare)


@campaigns.command(epilog='Example: preference-center campaigns duplicate 4fq2m7c3x5k6zr2a --name "Autumn, again"')
@click.argument("id")
@click.option("--name", default="", help="Of the copy.")
def duplicate(id: str, name: str) -> None:
    """A draft with the same content and rule; prints its id."""
    _made("campaigns.copying", "duplicate", id, name)


@campaigns.command(
    epilog="Example: preference-center campaigns resend 4fq2m7c3x5k6zr2a --reason frequency_cap --reason too_late"
)
@click.argument("id")
@click.option(
    "--reason", "reasons", multiple=True, help="Why they did not get it; several times. Without one: lists them."
)
@desk.as_json
def resend(id: str, reasons: tuple[str, ...], as_json: bool) -> None:
    """A draft for those whom these reasons kept from an ended campaign; prints its id. Who got it is never among them."""
    if reasons:
        _made("delivery.results.reach", "resend", id, reasons)
        return
    with desk.app():
        from preference_center.campaigns import queries
        from preference_center.delivery.results import reach

        missed = reach.missed(queries.by_public_id(id))
    if as_json:
        desk.print_json(missed)
        return
    if not missed:
        click.echo("Nobody was missed.")
    for reason, count in missed.items():
        click.echo(f"{reason:>20} {count:>9}")


@campaigns.command(epilog="Example: preference-center campaigns correct 4fq2m7c3x5k6zr2a")
@click.argument("id")
def correct(id: str) -> None:
    """A draft for everybody who got an ended campaign, or may have, to write a correction in; prints its id."""
    _made("delivery.results.reach", "correct", id)


@campaigns.command(epilog="Example: preference-center campaigns test 4fq2m7c3x5k6zr2a --to maria@example.com")
@click.argument("id")
@click.option("--to", "addresses", multiple=True, required=True, help="A user of the console; several times.")
@click.option("--language", default="en", show_default=True, help="As somebody reads it.")
@looking.letter
def test(id: str, addresses: tuple[str, ...], language: str, content_letter: str) -> None:
    """Send it to colleagues, who are users of the console: a test is no way around consent. Its links lead nowhere."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.accounts import queries as users
        from preference_center.campaigns import experiments, queries
        from preference_center.db import transaction
        from preference_center.delivery import testing
        from preference_center.errors import Invalid

        colleagues = {user.email.casefold() for user in users.colleagues()}
        if strangers := [one for one in addresses if one.casefold() not in colleagues]:
            raise Invalid(f"{len(strangers)} of these are no users of the console; a test goes to colleagues alone.")
        campaign = queries.by_public_id(id)
        looked_at = experiments.named(queries.version(campaign, campaign.approved_version), content_letter.upper())
        for address in addresses:
            testing.send_test(looked_at, address, language=language)
        with transaction():
            audit.note(desk.ACTOR, "campaign.test_sent", "campaign", id, colleagues=len(addresses))
    click.echo(f"The test is on its way to {', '.join(addresses)}.")


@campaigns.command(epilog="Example: preference-center campaigns pick 4fq2m7c3x5k6zr2a B")
@click.argument("id")
@click.argument("letter", required=False)
@desk.as_json
def pick(id: str, letter: str | None, as_json: bool) -> None:
    """How the contents of an experiment do; with a letter: send that one to everybody else."""
    with desk.app():
        from dataclasses import asdict

        from preference_center.accounts import audit
        from preference_center.campaigns import experiments, queries
        from preference_center.db import transaction
        from preference_center.delivery.results import trials
        from preference_center.errors import Conflict

        if letter:
            with transaction():
                trials.pick(queries.by_public_id(id), experiments.LETTERS.find(letter.upper()[:1] or "?"))
                audit.note(desk.ACTOR, "campaign.winner_picked", "campaign", id, variant=letter.upper()[:1])
        campaign = queries.by_public_id(id)
        if not queries.version(campaign, campaign.approved_version).experiment:
            raise Conflict("This campaign tries no other contents.")
        scores = [{"letter": one.letter} | asdict(one) for one in trials.scores(campaign)]
        winner = campaign.winner
    if as_json:
        desk.print_json({"winner": None if winner is None else scores[winner]["letter"], "scores": scores})
        return
    for one in scores:
        parts = ", ".join(
            f"{one[name]} {name.replace('_', ' ')}"
            for name in ("people", "handed_over", "delivered", "opened", "clicked")
        )
        click.echo(f"{one['letter']}{' (winner)' if one['variant'] == winner else ''}: {parts}")


@campaigns.command(epilog="Example: preference-center campaigns archive 4fq2m7c3x5k6zr2a")
@click.argument("id")
@click.option("--remove", is_flag=True, help="Take it out again.")
def archive(id: str, remove: bool) -> None:
    """Show a campaign of a public topic under /archive/ once it is sent. Nobody's own details stand in it."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import archive as shelf
        from preference_center.campaigns import queries
        from preference_center.db import transaction

        with transaction():
            (shelf.take_out if remove else shelf.put)(queries.by_public_id(id))
            audit.note(desk.ACTOR, f"campaign.archive_{'hide' if remove else 'show'}", "campaign", id)
    click.echo(f"Campaign {id} is {'not in the archive any more' if remove else 'in the archive once it is sent'}.")


def _made(module: str, verb: str, public_id: str, *arguments: Any) -> None:
    """Make a campaign out of another one by a verb of a room, and print its id."""
    with desk.app():
        from importlib import import_module

        from preference_center.accounts import audit
        from preference_center.campaigns import queries
        from preference_center.db import transaction

        with transaction():
            make = getattr(import_module(f"preference_center.{module}"), verb)
            made = make(queries.by_public_id(public_id), *arguments, actor=desk.ACTOR)
            audit.note(desk.ACTOR, "campaign.created", "campaign", made.public_id, made_from=made.made_from)
            made_id = made.public_id
    click.echo(made_id)


def _move(public_id: str, verb: str, *arguments: Any) -> None:
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import queries, scheduling
        from preference_center.db import transaction

        with transaction():
            getattr(scheduling, verb)(queries.by_public_id(public_id), *arguments)
            audit.note(desk.ACTOR, f"campaign.{verb}", "campaign", public_id)
