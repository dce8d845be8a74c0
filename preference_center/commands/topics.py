"""`topics`: the subjects people can follow."""

import click

from preference_center.commands import desk


@click.group(epilog="Example: preference-center topics list")
def topics() -> None:
    """What people can follow."""


@topics.command(
    epilog='Example: preference-center topics add news --name "Product news" --cadence "About once a month."'
)
@click.argument("key")
@click.option("--name", required=True, help="What people read on the preference page.")
@click.option("--purpose", default="email_marketing", show_default=True, help="The purpose it belongs to.")
@click.option("--description", default="", help="What one gets, in a sentence.")
@click.option("--cadence", default="", help="How often, in words.")
@click.option("--language", default="en", show_default=True, help="The language of these texts.")
@click.option("--hidden", is_flag=True, help="Not offered on the preference page and the sign-up form.")
def add(key: str, name: str, purpose: str, description: str, cadence: str, language: str, hidden: bool) -> None:
    """Add a topic. Its key stands in links and headers and never changes."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.consent import wordings
        from preference_center.db import transaction
        from preference_center.topics import catalogue
        from preference_center.topics.models import TopicText

        text = TopicText(language=language, name=name, description=description, cadence=cadence)
        with transaction():
            topic = catalogue.add(key, {language: text}, purpose, public=not hidden)
            wordings.publish_defaults(topic)
            audit.note(desk.ACTOR, "topic.added", "topic", topic.key)
    click.echo(f"Topic {key} was added.")


@topics.command("list", epilog="Example: preference-center topics list --json")
@desk.as_json
def list_(as_json: bool) -> None:
    """The topics in use, in the owner's order."""
    with desk.app():
        from preference_center.topics import catalogue

        found = [{"key": t.key, "name": t.name(), "purpose": t.purpose_key} for t in catalogue.live()]
    if as_json:
        desk.print_json(found)
        return
    desk.print_table(
        ("key", "name", "purpose"),
        [tuple(topic.values()) for topic in found],
        "There are no topics yet: topics add makes one.",
    )
