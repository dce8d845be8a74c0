"""`contacts`: the people we write to."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.contacts.models import Contact

_FAULTS_SHOWN = 10


@click.group(epilog="Example: preference-center contacts show anna@example.com")
def contacts() -> None:
    """The people we write to."""


@contacts.command(
    "import",
    epilog="Example: preference-center contacts import customers.csv --map email=E-mail,first_name=Name "
    '--source "shop checkout, 2019 to 2024" --basis consent --topic news --consented-on 2024-05-31 --wording wording.txt',
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="FIELD=COLUMN[,…]",
    help="Which column holds what. May be repeated; what is not named is guessed.",
)
@click.option("--source", required=True, help="Where these people come from, in words.")
@click.option("--basis", help="What allows mail to them: consent, double_opt_in, existing_customer …")
@click.option("--topic", "topics", multiple=True, help="What they agreed to. May be repeated.")
@click.option("--consented-on", metavar="DATE", help="When, for rows that do not say so themselves.")
@click.option("--wording", default="", metavar="FILE|TEXT", help="The text they agreed to.")
@click.option("--wording-language", default="en", show_default=True, help="The language of that text.")
@click.option(
    "--soft-opt-in",
    is_flag=True,
    help="For existing customers: got at a sale, own similar products, refusal offered then and since.",
)
@click.option("--overwrite", is_flag=True, help="Let the file change languages, time zones and countries.")
@click.option("--encoding", help="Default: found out from the file.")
@click.option("--dry-run", is_flag=True, help="Show what would become of the rows; store nothing.")
@desk.as_json
def import_(file: Path, pairs: tuple[str, ...], wording: str, as_json: bool, **terms: Any) -> None:
    """Import people from a CSV file. A wrong row is reported and stops nothing; a "no" never becomes a "yes"."""
    mapping = _mapping(pairs)
    with desk.app():
        from preference_center.commands.people import importing

        result = importing.run(file, mapping, wording=_text(wording), shown=not as_json, **terms)
    if as_json:
        desk.print_json(result)
    else:
        importing.tell(result, _FAULTS_SHOWN)
    if result["state"] != "done":
        raise click.ClickException(result["trouble"] or f"The import is {result['state']}.")


@contacts.command("list", epilog='Example: preference-center contacts list --segment "language = pl" --limit 20')
@click.option("--segment", default="", metavar="NAME|TEXT", help="Only the ones this segment, or this rule, means.")
@click.option("--limit", type=click.IntRange(1), help="At most so many; default: all.")
@desk.as_json
def list_(segment: str, limit: int | None, as_json: bool) -> None:
    """Contacts, oldest first; the erased ones are left out."""
    with desk.app():
        from preference_center.commands.people import exporting

        found = [
            {"id": contact.public_id, "email": contact.email, "language": contact.language}
            for contact in exporting.chosen(segment, limit)
        ]
    if as_json:
        desk.print_json(found)
        return
    desk.print_table(("id", "email", "language"), [tuple(row.values()) for row in found], "No contacts.")


@contacts.command(epilog="Example: preference-center contacts show anna@example.com --json")
@click.argument("email")
@desk.as_json
def show(email: str, as_json: bool) -> None:
    """One contact: what we hold, where they stand on each topic, and every consent record."""
    with desk.app():
        from preference_center.commands.people import explaining

        found = _one(explaining.known(email))
    if as_json:
        desk.print_json(found)
        return
    for name in ("id", "email", "language", "time_zone", "jurisdiction", "source", "created_at"):
        click.echo(f"{name.replace('_', ' ')}: {_short(found[name])}")
    for key, value in found["attributes"].items():
        click.echo(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    click.echo()
    topics = [(topic["key"], "yes" if topic["allowed"] else "no", topic["reason"]) for topic in found["topics"]]
    desk.print_table(("topic", "allowed", "why not"), topics, "There are no topics yet.")
    click.echo()
    desk.print_table(
        ("when", "what", "about", "basis", "from"),
        [(_short(r["happened_at"]), r["action"], r["about"], r["basis"], r["source"]) for r in found["records"]],
        "No consent record.",
    )


@contacts.command(epilog="Example: preference-center contacts export contacts.csv")
@click.argument("file", type=desk.NewFile())
@click.option("--segment", default="", metavar="NAME|TEXT", help="Only the ones this segment, or this rule, means.")
def export(file: Path, segment: str) -> None:
    """Write contacts with their state on each topic to a CSV file, readable by you alone."""
    with desk.app():
        from preference_center.commands.people import exporting

        count = exporting.export(file, segment)
    click.echo(f"{count} contacts were written to {file}.")


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    """`field=Column,field=Column`; a column whose name holds a comma gets a --map of its own with a backslash before it."""
    found: dict[str, str] = {}
    for pair in (part for text in pairs for part in text.replace("\\,", "\0").split(",")):
        field, equals, column = pair.replace("\0", ",").partition("=")
        if not equals or not field.strip():
            raise click.UsageError(f"--map {pair!r} is not understood: write field=Column, such as email=E-mail.")
        found[field.strip()] = column.strip()
    return found


def _text(wording: str) -> str:
    """The text itself, or what the file of this name holds."""
    try:
        named = Path(wording) if wording and "\n" not in wording and len(wording) < 1000 else None
        return named.read_text(encoding="utf-8") if named and named.is_file() else wording
    except (OSError, UnicodeDecodeError):
        raise click.ClickException(f"{wording} cannot be read as text in UTF-8.") from None


def _one(contact: "Contact") -> dict[str, Any]:
    from preference_center import clock
    from preference_center.consent import eligibility, queries
    from preference_center.topics import catalogue

    live, now = catalogue.live(), clock.now()
    names = {topic.id: topic.key for topic in live}
    verdicts = {topic.key: eligibility.verdict(topic, contact, now) for topic in live}
    return {
        "id": contact.public_id,
        "email": contact.email,
        "language": contact.language,
        "time_zone": contact.time_zone,
        "jurisdiction": contact.jurisdiction,
        "source": contact.source,
        "created_at": contact.created_at,
        "attributes": contact.attributes,
        "topics": [{"key": key, "allowed": v.allowed, "reason": v.reason} for key, v in verdicts.items()],
        "records": [
            {
                "id": record.public_id,
                "action": record.action,
                "about": names.get(record.topic_id or 0, record.purpose_key),
                "basis": record.legal_basis,
                "source": f"{record.source} {record.source_ref}".strip(),
                "happened_at": record.happened_at,
                "recorded_at": record.recorded_at,
                "wording": wording and wording.text,
            }
            for record, wording in queries.timeline(contact)
        ],
    }


def _short(value: Any) -> str:
    return desk.local(value) if isinstance(value, datetime) else str(value or "")
