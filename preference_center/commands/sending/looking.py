"""`campaigns check`, `preview`, `content` and `versions`: a campaign looked at before it goes, from the command line."""

from pathlib import Path
from typing import Any

import click

from preference_center.commands import desk

_version = click.option(
    "--version", type=int, default=None, help="Which one; default: the one that is or would be sent."
)


letter = click.option(
    "--content", "content_letter", default="A", metavar="LETTER", help="Of an experiment, which content; default: A."
)


@click.command(epilog="Example: preference-center campaigns check 4fq2m7c3x5k6zr2a --json")
@click.argument("id")
@_version
@desk.as_json
def check(id: str, version: int | None, as_json: bool) -> None:
    """What is to be fixed or known before it goes, with lines; who gets it, and why not more; about how long that takes."""
    with desk.app():
        from preference_center import clock
        from preference_center.campaigns import queries
        from preference_center.db import db
        from preference_center.delivery.results import checks, foretelling
        from preference_center.topics.models import Topic

        campaign, now = queries.by_public_id(id), clock.now()
        chosen = queries.version(campaign, version or campaign.approved_version)
        topic = db.session.get_one(Topic, campaign.topic_id)
        counted = checks.funnel(chosen, topic, now)
        takes = foretelling.takes(counted.allowed)
        found = {
            "version": chosen.number,
            "checks": [vars(one) for one in checks.of(campaign, chosen, topic, counted.allowed, now)],
            "matched": counted.matched,
            "allowed": counted.allowed,
            "refused": {str(reason): count for reason, count in counted.reasons.items()},
            "takes_seconds": takes and round(takes.total_seconds()),
        }
    if as_json:
        desk.print_json(found)
        return
    _tell(found)


@click.command(
    epilog="Example: preference-center campaigns preview 4fq2m7c3x5k6zr2a --as anna@example.com --html mail.html"
)
@click.argument("id")
@_version
@letter
@click.option("--as", "email", metavar="EMAIL", help="As this contact would get it; default: with sample values.")
@click.option("--language", default=None, help="As somebody reads it; default: the contact's, or en.")
@click.option("--html", type=desk.NewFile(), help="Write the HTML part to this file.")
@desk.as_json
def preview(
    id: str,
    version: int | None,
    content_letter: str,
    email: str | None,
    language: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """The mail as it would be: subject and text part, perhaps the HTML in a file. Its links lead nowhere."""
    with desk.app():
        from preference_center.campaigns import experiments, queries
        from preference_center.campaigns.rendering import content
        from preference_center.commands.people import explaining

        campaign = queries.by_public_id(id)
        chosen = queries.version(campaign, version or campaign.approved_version)
        looked_at = experiments.named(chosen, content_letter.upper())
        seen = content.preview(looked_at, explaining.known(email) if email else None, language)
    if html:
        html.write_text(seen.html, encoding="utf-8")
    if as_json:
        desk.print_json({"subject": seen.subject, "text": seen.text, "html": seen.html})
        return
    click.echo(f"{seen.subject}\n\n{seen.text}")


@click.command(epilog="Example: preference-center campaigns content 4fq2m7c3x5k6zr2a > spring.md")
@click.argument("id")
@_version
@click.option("--text", is_flag=True, help="The text part that was written besides.")
def content(id: str, version: int | None, text: bool) -> None:
    """The content as it was written, to work on: `campaigns edit` takes it back."""
    with desk.app():
        from preference_center.campaigns import queries

        campaign = queries.by_public_id(id)
        chosen = queries.version(campaign, version or campaign.approved_version)
        source = chosen.text_source if text else chosen.source
    click.echo(source, nl=not source.endswith("\n"))


@click.command(epilog="Example: preference-center campaigns versions 4fq2m7c3x5k6zr2a --json")
@click.argument("id")
@desk.as_json
def versions(id: str, as_json: bool) -> None:
    """Every version of a campaign, the newest first, with who saved it; the approved one is marked."""
    with desk.app():
        from preference_center.campaigns import queries

        campaign = queries.by_public_id(id)
        found: list[dict[str, Any]] = [
            {
                "version": one.number,
                "approved": one.number == campaign.approved_version,
                "subject": one.subject,
                "format": str(one.format),
                "segment": one.segment,
                "saved_at": one.created_at,
                "by": one.created_by,
            }
            for one in queries.versions(campaign)
        ]
    if as_json:
        desk.print_json(found)
        return
    rows = [
        (
            f"{one['version']}{' approved' if one['approved'] else ''}",
            one["subject"],
            desk.local(one["saved_at"]),
            one["by"],
        )
        for one in found
    ]
    desk.print_table(("version", "subject", "saved", "by"), rows, "")


def _tell(found: dict[str, Any]) -> None:
    for one in found["checks"]:
        line = f" (line {one['line']})" if one["line"] else ""
        click.echo(f"to {one['weight']}: {one['message']}{line}")
    if not found["checks"]:
        click.echo("Nothing to fix and nothing to know.")
    click.echo()
    refused = [(f"- {why}", count) for why, count in found["refused"].items()]
    desk.print_table(
        ("step", "people"), [("matched", found["matched"]), *refused, ("may be mailed", found["allowed"])], ""
    )
    if found["takes_seconds"] is not None:
        click.echo(f"\nThat takes about {max(1, round(found['takes_seconds'] / 60))} min.")
