"""`campaigns edit`: a new version of a draft, with what is given changed and all else as it was."""

from typing import Any

import click

from preference_center.commands import desk
from preference_center.commands.sending import contents


@click.command(
    epilog='Example: preference-center campaigns edit 4fq2m7c3x5k6zr2a --subject "Spring is here" --markdown spring.md'
)
@click.argument("id")
@click.option("--version", type=int, default=None, help="The version your changes were made on; default: the newest.")
@click.option("--name", default=None, help="For you; people do not see it.")
@click.option("--topic", "topic_key", default=None, help="Who follows this topic may get it.")
@click.option("--subject", default=None, help="The subject line.")
@contents.options
@click.option("--segment", "include", multiple=True, metavar="NAME|TEXT", help="Whom it is meant for instead.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="NAME|TEXT",
    help="Whom it is not meant for; without --segment: of those it is meant for now.",
)
@click.option("--everyone", is_flag=True, help="Meant for everyone who follows the topic, but --exclude.")
@click.option(
    "--try",
    "experiment",
    type=click.File(encoding="utf-8"),
    help="Other contents to try first instead, as JSON: share, metric, wait_minutes, variants.",
)
@click.option("--try-none", is_flag=True, help="No other contents to try.")
def edit(id: str, version: int | None, topic_key: str | None, everyone: bool, try_none: bool, **given: Any) -> None:
    """Save a new version of a draft with these changes; prints its number. What cannot be rendered is refused with its line."""
    include, exclude = given.pop("include"), given.pop("exclude")
    if everyone and include:
        raise click.UsageError("Say --everyone, or whom it is for, not both.")
    if (tried := given.pop("experiment")) and try_none:
        raise click.UsageError("Say --try or --try-none, not both.")
    content = contents.read(given, needed=False)
    if tried or try_none:
        content["experiment"] = contents.experiment(tried) if tried else {}
    changes = {name: value for name, value in given.items() if value is not None} | content
    if not (changes or topic_key or include or exclude or everyone):
        raise click.UsageError("Say what is to change.")
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import queries, scheduling
        from preference_center.db import transaction
        from preference_center.segments import queries as segments
        from preference_center.topics import catalogue

        with transaction():
            campaign = queries.by_public_id(id)
            if topic_key:
                changes["topic"] = catalogue.by_key(topic_key)
            if include or exclude or everyone:
                kept = () if include or everyone else (queries.version(campaign).segment,)
                changes["segment"] = segments.choose(include or kept, exclude)
            made = scheduling.save(campaign, on_version=version or campaign.version, actor=desk.ACTOR, **changes)
            number = made.number
            audit.note(desk.ACTOR, "campaign.saved", "campaign", id, version=number)
    click.echo(f"Campaign {id} is saved as version {number}.")
