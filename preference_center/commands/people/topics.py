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


@topics.command(epilog='Example: preference-center topics edit news --language pl --name "Nowości" --heading "Sklep"')
@click.argument("key")
@click.option("--language", default="en", show_default=True, help="The language of these texts.")
@click.option("--name", help="What people read on the preference page.")
@click.option("--description", help="What one gets, in a sentence.")
@click.option("--cadence", help="How often, in words.")
@click.option("--heading", help="The group it stands in when there are more than eight topics.")
@click.option("--public/--hidden", default=None, help="Shown to people who do not follow it, or not.")
@click.option("--choose-how-often/--as-they-come", default=None, help="Whether people may choose how often.")
@click.option("--valid-months", type=click.IntRange(0, 120), help="How long a consent lasts; 0: until it is withdrawn.")
def edit(
    key: str,
    language: str,
    name: str | None,
    description: str | None,
    cadence: str | None,
    heading: str | None,
    public: bool | None,
    choose_how_often: bool | None,
    valid_months: int | None,
) -> None:
    """Change a topic's texts in one language, or how it is shown. What is not named stays."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.consent import wordings
        from preference_center.db import transaction
        from preference_center.topics import catalogue

        with transaction():
            topic = catalogue.by_key(key)
            if any(word is not None for word in (name, description, cadence, heading)):
                catalogue.amend(topic, language, name=name, description=description, cadence=cadence, heading=heading)
                wordings.publish_defaults(topic)
            if valid_months is not None:
                catalogue.limit_consent(topic, valid_months or None)
            if public is not None:
                catalogue.show(topic, public)
            if choose_how_often is not None:
                catalogue.offer_cadence(topic, choose_how_often)
            audit.note(desk.ACTOR, "topic.reworded", "topic", key, language=language)
    click.echo(f"Topic {key} was changed.")


@topics.command(epilog="Example: preference-center topics order offers news events")
@click.argument("keys", nargs=-1, required=True)
def order(keys: tuple[str, ...]) -> None:
    """Put topics first, in this order, on the preference page and the sign-up form; the others follow as they were."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.topics import catalogue

        with transaction():
            arranged = [topic.key for topic in catalogue.arrange(keys) if topic.retired_at is None]
            audit.note(desk.ACTOR, "topics.arranged", "topic", keys[0])
    click.echo(f"The order is: {', '.join(arranged)}.")


@topics.command(epilog="Example: preference-center topics retire events")
@click.argument("key")
def retire(key: str) -> None:
    """End a topic for good: no new mail and no new consent. What people said stays; who follows it reads on their page that it ended."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.topics import catalogue

        with transaction():
            catalogue.retire(catalogue.by_key(key))
            audit.note(desk.ACTOR, "topic.retired", "topic", key)
    click.echo(f"Topic {key} was retired.")


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
