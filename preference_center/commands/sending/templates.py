"""`templates`: contents that campaigns start from, with a version for each save, from the command line."""

from typing import TYPE_CHECKING, Any

import click

from preference_center.commands import desk
from preference_center.commands.sending import contents

if TYPE_CHECKING:
    from preference_center.campaigns.models import Template, TemplateVersion


@click.group(epilog="Example: preference-center templates list")
def templates() -> None:
    """Contents that campaigns start from."""


@templates.command(
    epilog='Example: preference-center templates add --name Monthly --subject "News of the month" --mjml monthly.mjml'
)
@click.option("--name", required=True, help="For you; people do not see it.")
@click.option("--subject", required=True, help="The subject line; merge fields are allowed.")
@contents.options
def add(name: str, subject: str, **given: Any) -> None:
    """Keep a content for later campaigns; prints its id. What no mail can be made of is refused with its line."""
    fields = {"subject": subject, **contents.read(given, needed=True)}
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import templates as shelf
        from preference_center.db import transaction

        with transaction():
            made = shelf.create(name, desk.ACTOR, **fields)
            audit.note(desk.ACTOR, "template.created", "template", made.public_id)
            public_id = made.public_id
    click.echo(public_id)


@templates.command(epilog="Example: preference-center templates change 4fq2m7c3x5k6zr2a --mjml monthly.mjml")
@click.argument("id")
@click.option("--version", type=int, default=None, help="The version your changes were made on; default: the newest.")
@click.option("--name", default=None, help="Another name for it.")
@click.option("--subject", default=None, help="The subject line.")
@contents.options
def change(id: str, version: int | None, name: str | None, subject: str | None, **given: Any) -> None:
    """Save a new version with these changes. Campaigns that were made from it stay as they are."""
    changes = {"name": name, "subject": subject} | contents.read(given, needed=False)
    changes = {field: value for field, value in changes.items() if value is not None}
    if not changes:
        raise click.UsageError("Say what is to change.")
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import templates as shelf
        from preference_center.db import transaction

        with transaction():
            found = shelf.by_public_id(id)
            number = shelf.save(found, on_version=version or found.version, actor=desk.ACTOR, **changes).number
            audit.note(desk.ACTOR, "template.saved", "template", id, version=number)
    click.echo(f"Template {id} is saved as version {number}.")


@templates.command(epilog="Example: preference-center templates keep 4fq2m7c3x5k6zr2a --name Monthly")
@click.argument("id", metavar="CAMPAIGN")
@click.option("--name", default="", help="Of the template; default: that of the campaign.")
def keep(id: str, name: str) -> None:
    """Keep the content of a campaign, as it was sent or last written; prints the template's id."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import queries
        from preference_center.campaigns import templates as shelf
        from preference_center.db import transaction

        with transaction():
            made = shelf.keep(queries.by_public_id(id), name, desk.ACTOR)
            audit.note(desk.ACTOR, "template.created", "template", made.public_id, campaign=id)
            public_id = made.public_id
    click.echo(public_id)


@templates.command("list", epilog="Example: preference-center templates list --json")
@click.option("--away", is_flag=True, help="Those that were put away.")
@desk.as_json
def list_(away: bool, as_json: bool) -> None:
    """Templates by name, with the ids that the other commands take."""
    with desk.app():
        from preference_center.campaigns import templates as shelf

        found = [_as_data(one) for one in (shelf.put_away() if away else shelf.in_use())]
    if as_json:
        desk.print_json(found)
        return
    rows = [(one["id"], one["name"], one["version"], desk.local(one["changed_at"])) for one in found]
    nothing = "None was put away." if away else "There are no templates yet: templates add makes one."
    desk.print_table(("id", "name", "version", "changed"), rows, nothing)


@templates.command(epilog="Example: preference-center templates show 4fq2m7c3x5k6zr2a --version 2")
@click.argument("id")
@click.option("--version", type=int, default=None, help="Which one; default: the newest.")
@desk.as_json
def show(id: str, version: int | None, as_json: bool) -> None:
    """One template with the content of a version."""
    with desk.app():
        from preference_center.campaigns import templates as shelf

        template = shelf.by_public_id(id)
        shown = shelf.version(template, version)
        found = _as_data(template) | _content(shown)
    if as_json:
        desk.print_json(found)
        return
    click.echo(f"{found['name']}, version {found['version']}{' (put away)' if found['away'] else ''}")
    for field in ("subject", "preheader", "format"):
        click.echo(f"{field}: {found[field]}")
    click.echo(f"\n{found['source']}")
    if found["text"]:
        click.echo(f"\n-- text part --\n{found['text']}")


@templates.command(epilog="Example: preference-center templates versions 4fq2m7c3x5k6zr2a --json")
@click.argument("id")
@desk.as_json
def versions(id: str, as_json: bool) -> None:
    """All versions of a template, the newest first. `show --version N` has the content, `use --version N` starts from it."""
    with desk.app():
        from preference_center.campaigns import templates as shelf

        found: list[dict[str, Any]] = [
            {"version": one.number, "subject": one.subject, "saved_at": one.created_at, "by": one.created_by}
            for one in shelf.versions(shelf.by_public_id(id))
        ]
    if as_json:
        desk.print_json(found)
        return
    rows = [(one["version"], one["subject"], desk.local(one["saved_at"]), one["by"]) for one in found]
    desk.print_table(("version", "subject", "saved", "by"), rows, "")


@templates.command(epilog='Example: preference-center templates use 4fq2m7c3x5k6zr2a --name "March" --topic news')
@click.argument("id")
@click.option("--name", required=True, help="Of the campaign.")
@click.option("--topic", "topic_key", required=True, help="Who follows this topic may get it.")
@click.option("--version", type=int, default=None, help="Which version; default: the newest.")
@click.option("--subject", default=None, help="Another subject line.")
@click.option(
    "--segment", "include", multiple=True, metavar="NAME|TEXT", help="Whom it is meant for; default: everyone."
)
@click.option("--exclude", multiple=True, metavar="NAME|TEXT", help="Whom it is not meant for.")
def use(
    id: str, name: str, topic_key: str, version: int | None, subject: str | None, include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:  # fmt: skip
    """Write a draft campaign with a copy of a version; prints the campaign's id."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import templates as shelf
        from preference_center.db import transaction
        from preference_center.segments import queries as segments
        from preference_center.topics import catalogue

        with transaction():
            more = {"segment": segments.choose(include, exclude)} | ({"subject": subject} if subject else {})
            topic = catalogue.by_key(topic_key)
            made = shelf.start(shelf.by_public_id(id), name, topic, desk.ACTOR, number=version, **more)
            audit.note(desk.ACTOR, "campaign.created", "campaign", made.public_id, made_from=made.made_from)
            public_id = made.public_id
    click.echo(public_id)


@templates.command(epilog="Example: preference-center templates retire 4fq2m7c3x5k6zr2a")
@click.argument("id")
@click.option("--undo", is_flag=True, help="Take it out again.")
def retire(id: str, undo: bool) -> None:
    """Put a template away: no campaign starts from it any more. Those made from it stay as they are."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.campaigns import templates as shelf
        from preference_center.db import transaction

        with transaction():
            (shelf.take_out if undo else shelf.retire)(shelf.by_public_id(id))
            audit.note(desk.ACTOR, f"template.{'taken_out' if undo else 'retired'}", "template", id)
    click.echo(f"Template {id} is {'in use again' if undo else 'put away'}.")


def _as_data(template: "Template") -> dict[str, Any]:
    return {
        "id": template.public_id,
        "name": template.name,
        "version": template.version,
        "changed_at": template.updated_at,
        "away": template.retired_at is not None,
    }


def _content(version: "TemplateVersion") -> dict[str, Any]:
    return {
        "version": version.number,
        "subject": version.subject,
        "preheader": version.preheader,
        "format": str(version.format),
        "source": version.source,
        "text": version.text_source,
    }
