"""`campaigns`: written, scheduled, stopped and looked at from the command line."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from preference_center.commands import desk


@click.group(epilog="Example: preference-center campaigns show 4fq2m7c3x5k6zr2a --json")
def campaigns() -> None:
    """Campaigns."""


@campaigns.command(
    epilog='Example: preference-center campaigns create --name "Spring" --topic news --subject "Spring is here" --markdown spring.md'
)
@click.option("--name", required=True, help="For you; people do not see it.")
@click.option("--topic", "topic_key", required=True, help="Who follows this topic may get it.")
@click.option("--subject", required=True, help="The subject line; merge fields are allowed.")
@click.option("--preheader", default="", help="What inboxes show after the subject.")
@click.option("--mjml", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The content as MJML.")
@click.option("--html", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The content as HTML.")
@click.option(
    "--markdown", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The content as Markdown."
)
@click.option(
    "--text",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The text part; default: made from the content.",
)
@click.option(
    "--segment",
    "include",
    multiple=True,
    metavar="NAME|TEXT",
    help="Whom it is meant for: a segment or a rule; default: everyone. May be repeated. Consent is asked in any case.",
)
@click.option("--exclude", multiple=True, metavar="NAME|TEXT", help="Whom it is not meant for. May be repeated.")
def create(
    name: str,
    topic_key: str,
    subject: str,
    preheader: str,
    text: Path | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    **contents: Path | None,
) -> None:
    """Write a draft; prints its id. What cannot be rendered is refused with its line."""
    given = {kind: file for kind, file in contents.items() if file}
    if len(given) != 1:
        raise click.UsageError("Name the content once: --mjml FILE, --html FILE or --markdown FILE.")
    [(kind, file)] = given.items()
    source, plain = _read(file), _read(text) if text else ""
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
                kind,
                source,
                preheader=preheader,
                text_source=plain,
                segment=segments.choose(include, exclude),
                actor=desk.ACTOR,
            )
            audit.note(desk.ACTOR, "campaign.created", "campaign", campaign.public_id)
            public_id = campaign.public_id
    click.echo(public_id)


@campaigns.command(epilog="Example: preference-center campaigns schedule 4fq2m7c3x5k6zr2a --at 2026-12-01T09:00")
@click.argument("id")
@click.option("--at", type=desk.Moment(), default=None, help="When; default: now.")
def schedule(id: str, at: datetime | None) -> None:
    """Freeze the content and send it now, or at the time given."""
    from preference_center import clock

    _move(id, "schedule", at or clock.now())
    click.echo(f"Campaign {id} is scheduled for {desk.local(at) if at else 'now'}.")


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


@campaigns.command(epilog="Example: preference-center campaigns show 4fq2m7c3x5k6zr2a --json")
@click.argument("id")
@desk.as_json
def show(id: str, as_json: bool) -> None:
    """The state and the figures, which add up to the audience at every moment."""
    with desk.app():
        from preference_center.campaigns import queries
        from preference_center.delivery import queries as delivery

        campaign = queries.by_public_id(id)
        name, reason = campaign.name, campaign.pause_reason
        figures: dict[str, Any] = {"state": str(campaign.state), **delivery.figures(campaign).as_dict()}
    if as_json:
        desk.print_json(figures)
        return
    click.echo(f"{name}: {figures.pop('state')}" + (f" ({reason})" if reason else ""))
    skipped = figures.pop("skipped")
    for part, count in figures.items():
        click.echo(f"{part:>18} {count:>9}")
    for why, count in skipped.items():
        click.echo(f"{'skipped, ' + why:>18} {count:>9}")


def _move(public_id: str, verb: str, *arguments: Any) -> None:
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import queries, scheduling
        from preference_center.db import transaction

        with transaction():
            getattr(scheduling, verb)(queries.by_public_id(public_id), *arguments)
            audit.note(desk.ACTOR, f"campaign.{verb}", "campaign", public_id)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not text in UTF-8.") from None
