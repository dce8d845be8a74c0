"""`explain` and `links`: one person, for support."""

from datetime import datetime
from typing import Any

import click

from preference_center.commands import desk


@click.command(epilog="Example: preference-center explain anna@example.com --topic news --at 2026-05-01T12:00")
@click.argument("email")
@click.option("--topic", "topic_key", required=True, help="The topic's key.")
@click.option("--at", type=desk.Moment(), default=None, help="A moment in the past; default: now.")
@desk.as_json
def explain(email: str, topic_key: str, at: datetime | None, as_json: bool) -> None:
    """May we mail this person on this topic, and why? Now, or at a moment that has passed."""
    with desk.app():
        from preference_center.commands.people import explaining

        answer = explaining.explain(email, topic_key, at)
    if as_json:
        desk.print_json(answer)
        return
    _tell(answer)


@click.command(epilog="Example: preference-center links anna@example.com --topic news")
@click.argument("email")
@click.option("--topic", "topic_key", help="The topic the unsubscribe link is for; default: all.")
@desk.as_json
def links(email: str, topic_key: str | None, as_json: bool) -> None:
    """A person's own links, as their mail holds them. Whoever has them acts as that person; each use is audited."""
    with desk.app():
        from preference_center.commands.people import explaining

        found = explaining.links(email, topic_key)
    if as_json:
        desk.print_json(found)
        return
    for name, url in found.items():
        click.echo(f"{name}: {url}")


def _tell(answer: dict[str, Any]) -> None:
    from preference_center.commands.people import explaining

    click.echo("Yes: may be mailed." if answer["allowed"] else f"No: {answer['reason']}.")
    click.echo(f"The rule: {explaining.RULES[answer['reason']]}.")
    record = answer["record"]
    if record is None:
        return
    click.echo(
        f"Record {record['id']}: {record['action']}"
        + (f" on the basis {record['basis']}" if record["basis"] else "")
        + f", {record['happened_at']}, from {record['source']} {record['source_ref']}".rstrip()
        + "."
    )
    if record["wording"]:
        wording = record["wording"]
        click.echo(f"Wording, version {wording['version']} in {wording['language']}: {wording['text']}")
