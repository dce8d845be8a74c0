"""`forms`: sign-up forms, here and on other sites."""

from typing import Any

import click

from preference_center.commands import desk


@click.group(epilog="Example: preference-center forms list")
def forms() -> None:
    """Sign-up forms, on this site and on others."""


@forms.command(
    epilog='Example: preference-center forms add shop --topic offers --topic news --title "Letters from the shop"'
)
@click.argument("key")
@click.option("--topic", "topics", multiple=True, required=True, help="A topic's key; once for each topic.")
@click.option("--language", default="en", show_default=True, help="The language of the texts below.")
@click.option(
    "--title", default="", help="The heading; without any texts the form has our own words, in all languages."
)
@click.option("--lead", default="", help="A sentence or two under the heading.")
@click.option("--thanks", default="", help="A sentence on the page that asks to look into the inbox.")
@click.option("--name", "asks_name", is_flag=True, help="Also ask for the first name, which may be left out.")
@click.option("--most", default=300, show_default=True, help="How many may sign up there in an hour.")
def add(
    key: str,
    topics: tuple[str, ...],
    language: str,
    title: str,
    lead: str,
    thanks: str,
    asks_name: bool,
    most: int,
) -> None:
    """Add a form at /subscribe/KEY, or write its texts in one more language. What people agree to are the topics' consent texts."""
    with desk.app() as app:
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.preferences import forms

        words = {"title": title, "lead": lead, "thanks": thanks}
        with transaction():
            there = {form.key: form for form in forms.everything()}.get(key)
            if there is None:
                forms.add(key, topics, {language: words} if any(words.values()) else {}, asks_name=asks_name, most=most)
            else:
                texts = there.texts | ({language: words} if any(words.values()) else {})
                forms.change(there, topics, texts, asks_name=asks_name, most=most)
            audit.note(desk.ACTOR, "form.saved", "form", key)
        address = f"{app.extensions['settings'].public_url}/subscribe/{key}"
    click.echo(f"Form {key} is at {address}")


@forms.command("list", epilog="Example: preference-center forms list --json")
@desk.as_json
def list_(as_json: bool) -> None:
    """The forms, the closed ones last."""
    with desk.app() as app:
        from preference_center.preferences import forms

        site = app.extensions["settings"].public_url
        found: list[dict[str, Any]] = [
            {
                "key": form.key,
                "topics": form.topics,
                "languages": forms.languages(form),
                "closed": form.closed_at is not None,
                "address": f"{site}/subscribe/{form.key}",
            }
            for form in forms.everything()
        ]
    if as_json:
        desk.print_json(found)
        return
    rows = [
        (f["key"], ", ".join(f["topics"]), ", ".join(f["languages"]), "closed" if f["closed"] else f["address"])
        for f in found
    ]
    desk.print_table(("key", "topics", "languages", "address"), rows, "There are no forms yet: forms add makes one.")


@forms.command(epilog="Example: preference-center forms snippet shop --language pl > form.html")
@click.argument("key")
@click.option("--language", default="en", show_default=True)
def snippet(key: str, language: str) -> None:
    """Print the form as plain HTML for a page of another site. It needs no script."""
    with desk.app():
        from preference_center.preferences import forms
        from preference_center.web.public import snippets

        text = snippets.html(forms.by_key(key), language)
    click.echo(text)


@forms.command(epilog="Example: preference-center forms close shop")
@click.argument("key")
def close(key: str) -> None:
    """Let nobody sign up there any more."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.preferences import forms

        with transaction():
            forms.close(forms.by_key(key))
            audit.note(desk.ACTOR, "form.closed", "form", key)
    click.echo(f"Form {key} is closed.")
