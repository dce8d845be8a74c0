"""`privacy`: a person's data for those who write to us instead of using the page, and what is kept no longer."""

import json
import os
from pathlib import Path

import click

from preference_center.commands import desk


@click.group(epilog="Example: preference-center privacy export anna@example.com anna.json")
def privacy() -> None:
    """A person's data, and what is kept no longer. Make sure first that the one who asks is that person."""


@privacy.command(epilog="Example: preference-center privacy export anna@example.com anna.json")
@click.argument("email")
@click.argument("file", type=desk.NewFile())
def export(email: str, file: Path) -> None:
    """Write everything we hold on a person to FILE, readable by you alone: JSON, or HTML when its name ends so. Audited."""
    with desk.app() as app:
        from preference_center import i18n
        from preference_center.commands.people import explaining
        from preference_center.db import transaction
        from preference_center.errors import NotFound
        from preference_center.privacy import export as holdings
        from preference_center.privacy import requests
        from preference_center.privacy.models import RequestKind
        from preference_center.web.public.managing import data_words

        readable = file.suffix.lower() in (".html", ".htm")
        with transaction():
            contact = explaining.known(email)
            if contact.erased_at is not None:
                raise NotFound("There is no contact with this address.")
            requests.done(contact, RequestKind.access, desk.ACTOR, "cli", "html" if readable else "json")
            found = holdings.of(contact)
            with app.test_request_context(), i18n.in_language(contact.language):
                text = (
                    data_words.readable(contact, found) if readable else json.dumps(found, ensure_ascii=False, indent=1)
                )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    file.chmod(0o600)
    click.echo(f"What we hold was written to {file}. Hand it over by a safe way, then delete it.")


@privacy.command(epilog="Example: preference-center privacy erase anna@example.com")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@desk.as_json
def erase(email: str, yes: bool, as_json: bool) -> None:
    """Forget a person for good; only a keyed hash of the address stays, so that nobody mails them again. Audited."""
    with desk.app():
        from preference_center.commands.people import explaining
        from preference_center.consent.ledger import Evidence
        from preference_center.db import transaction
        from preference_center.privacy import erasure

        public_id = explaining.known(email).public_id
        if not yes:
            click.confirm("This cannot be undone. Erase this person?", abort=True, err=True)
        with transaction():
            evidence = Evidence("cli", actor=desk.ACTOR)
            done = erasure.erase(explaining.known(email), evidence, by=desk.ACTOR)
            answer = {"request": done.public_id, "contact": public_id}
    if as_json:
        desk.print_json(answer)
    else:
        click.echo(f"Erased. Reference of the request: {answer['request']}")


@privacy.command(epilog="Example: preference-center privacy retention --dry-run")
@click.option("--dry-run", is_flag=True, help="Count what is over; delete nothing.")
@desk.as_json
def retention(dry_run: bool, as_json: bool) -> None:
    """Delete what is kept no longer. The clock does it every day; this does it now."""
    with desk.app():
        from preference_center.db import transaction
        from preference_center.privacy import retention as rules

        counts = rules.report()
        for rule in () if dry_run else rules.RULES:
            while True:
                with transaction():
                    done = rule.step()
                if not done:
                    break
        days = {rule.name: rule.period.days for rule in rules.RULES}
    if as_json:
        desk.print_json({"dry_run": dry_run, "counts": counts})
        return
    desk.print_table(
        ("class", "kept", "would go" if dry_run else "gone"),
        [
            (name.replace("_", " "), f"{days[name]} days" if days[name] else "for ever", count)
            for name, count in counts.items()
        ],
        "Nothing.",
    )
