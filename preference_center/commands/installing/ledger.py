"""`ledger`: is the consent ledger as it was sealed, and is the state of every contact what it says? Checkpoints and proofs of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.consent.chain.signed import Checkpoint

_SHOWN = 20
_FILE = desk.NewFile()


@click.group(epilog="Example: preference-center ledger verify")
def ledger() -> None:
    """The consent ledger."""


@ledger.command(epilog="Example: preference-center ledger verify --checkpoints kept-elsewhere.jsonl")
@click.option(
    "--checkpoints", "file", type=_FILE, help="A file of checkpoints kept elsewhere, besides the one in DATA_DIR."
)
@click.option(
    "--key", "keys", multiple=True, help="A public key that once signed checkpoints, besides the present one."
)
@click.option(
    "--evidence", is_flag=True, help="Open all locked evidence too, and compare it with its records. Takes longer."
)
@desk.as_json
def verify(file: Path | None, keys: tuple[str, ...], evidence: bool, as_json: bool) -> None:
    """Make the whole chain anew and compare; rebuild every contact's state and compare. Changes nothing; exit status 1 when
    anything differs."""
    with desk.app() as app:
        from sqlalchemy import select

        from preference_center.consent import projection, vault
        from preference_center.consent.chain import checkpoints, rows, verifying
        from preference_center.contacts.models import Contact
        from preference_center.db import db

        settings = app.extensions["settings"]
        own, there = checkpoints.own_key(settings), checkpoints.file_of(settings)
        kept: list[Checkpoint] = []
        for each in [one for one in (file, there if there.exists() else None) if one]:
            kept += checkpoints.read(each, {own, *keys} if own else keys)
        with rows.snapshot() as connection, desk.Progress("Verifying", unit="records", shown=not as_json) as progress:
            finding = verifying.verify(connection, kept, progress.at)
            # what people stand on says nothing while records are not what was sealed, and those may hold anything
            stands = [] if finding.faults else projection.differences(connection)
            wrong = [contact_id for contact_id, _stored, _rebuilt in stands]
        named = list(db.session.scalars(select(Contact.public_id).where(Contact.id.in_(wrong[:_SHOWN]))))
        faults, lost = list(finding.faults), vault.missing()
        opened = 0
        if evidence:
            for told in vault.verified():
                if told is None:
                    opened += 1
                elif len(faults) < _SHOWN:
                    faults.append(told)
    if finding.faults:
        faults.append("Until that is cleared up, nobody's state was compared with their records.")
    if lost:
        faults.append(f"The evidence of consent records is missing, and nobody erased it: {', '.join(lost[:_SHOWN])}.")
    if wrong:
        faults.append(
            f"{len(wrong)} contacts stand otherwise than their records say: {', '.join(named)}"
            + (" …" if len(wrong) > _SHOWN else ".")
        )
    if as_json:
        desk.print_json(
            {
                "records": finding.records,
                "unsealed": finding.unsealed,
                "checkpoints": finding.checkpoints,
                "head": finding.head.hex(),
                "evidence": opened,
                "differences": None if finding.faults else len(wrong),
                "contacts": named,
                "faults": faults,
            }
        )
    elif not faults:
        _tell(finding)
        if evidence:
            click.echo(f"{opened} locked details were opened, and are those of their records.")
    if faults:
        raise click.ClickException("\n".join(faults))


def _tell(finding: Any) -> None:
    click.echo(
        f"{finding.records} sealed consent records are as they were sealed; every contact's state is what they say."
    )
    if finding.unsealed:
        click.echo(f"{finding.unsealed} records wait for their seal; the clock process sets it within seconds.")
    click.echo(
        f"{finding.checkpoints} checkpoints agree."
        if finding.checkpoints
        else "No checkpoint was compared: without one, an end that was cut off is not seen."
    )


@ledger.command(epilog="Example: preference-center ledger checkpoint checkpoints-on-the-stick.jsonl")
@click.argument("file", type=_FILE, required=False)
def checkpoint(file: Path | None) -> None:
    """Sign what the chain is now: printed, or added to FILE. Keep it where nobody who can change the database can reach."""
    with desk.app() as app:
        from preference_center.consent.chain import checkpoints, rows, seal, signed
        from preference_center.db import transaction

        with transaction():
            seal.seal_all()
        with rows.snapshot() as connection:
            made = checkpoints.take(connection, app.extensions["settings"])
        if file is None:
            click.echo(signed.canonical(made.data))
            return
        try:
            checkpoints.keep(made, file)
        except OSError as trouble:
            raise click.ClickException(f"{file} cannot be written: {trouble.strerror}.")
    click.echo(f"Seal {made.seq} and all before it are signed in {file}, with the key {made.key}.")


@ledger.command(epilog="Example: preference-center ledger proof anna@example.com --topic news proof.json")
@click.argument("email")
@click.option("--topic", "topic_key", required=True, help="The topic's key.")
@click.argument("file", type=_FILE)
def proof(email: str, topic_key: str, file: Path) -> None:
    """Write what a person said on a topic as one signed file that anybody can check. It holds personal data; each one is audited."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.commands.people import explaining
        from preference_center.consent.chain import proof as proofs
        from preference_center.consent.chain import seal
        from preference_center.db import transaction
        from preference_center.topics import catalogue

        with transaction():
            seal.seal_all()
        with transaction():
            contact, topic = explaining.known(email), catalogue.by_key(topic_key)
            content = proofs.make(contact, topic)
            audit.note(desk.ACTOR, "contact.proof_made", "contact", contact.public_id, topic=topic.key)
    try:
        file.write_bytes(content)
    except OSError as trouble:
        raise click.ClickException(f"{file} cannot be written: {trouble.strerror}.")
    click.echo(f"Written to {file}. `preference-center ledger check {file}` checks it, on any machine.")


@ledger.command(epilog="Example: preference-center ledger check proof.json --key 3f0a…")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", help="The public key you had from elsewhere; without it the file is only checked against itself."
)
@desk.as_json
def check(file: Path, key: str | None, as_json: bool) -> None:
    """Check a proof file or a receipt. Needs no database, no settings and no network."""
    from preference_center.consent.chain import checking
    from preference_center.errors import Invalid

    content = file.read_bytes()
    try:
        if checking.is_receipt(content):
            _tell_of_receipt(file, checking.check_receipt(content, key), key, as_json)
            return
        found = checking.check(content, key)
    except Invalid as wrong:
        raise click.ClickException(f"{file} does not hold: {wrong.message}")
    data, checkpoint = found.data, found.checkpoint
    if as_json:
        desk.print_json(
            {
                "holds": True,
                "key": found.key,
                "pinned": key is not None,
                "checkpoint": checkpoint.data,
                "records": found.records,
            }
        )
        return
    click.echo(
        f"{file} holds: not a byte was changed since {data['controller']['name']} signed it on {data['made_at']}."
    )
    click.echo(
        f"{data['person']['email'] or 'A person whom the file does not name'}, topic {data['topic']['key']} ({data['topic']['name']}):"
    )
    for record in found.records:
        at, noted = (datetime.fromtimestamp(record[when] / 1e6, UTC) for when in ("happened_at", "recorded_at"))
        basis = f", {record['legal_basis']}" if record["legal_basis"] else ""
        said = f"{record['action']}{basis}, from {record['source']} {record['source_ref']}".rstrip()
        later = f"; written down {noted:%Y-%m-%d %H:%M:%S} UTC" if noted - at > timedelta(seconds=1) else ""
        click.echo(f"  {at:%Y-%m-%d %H:%M:%S} UTC  {said}{later}")
    click.echo(f"All were in the ledger by {checkpoint.at}, within the first {checkpoint.seq} records.")
    if key is None:
        click.echo(
            f"Signed with the key {found.key}: compare it with the one you had from elsewhere, or name that with --key."
        )


def _tell_of_receipt(file: Path, data: "dict[str, Any]", key: str | None, as_json: bool) -> None:
    if as_json:
        desk.print_json({"holds": True, "key": data["key"], "pinned": key is not None, "record": data["record"]})
        return
    record = data["record"]
    event, processing, controller = record["event"], record["processing"], record["pii_controllers"][0]
    click.echo(f"{file} holds: not a byte was changed since {controller['party_name']} signed it on {data['issued']}.")
    about = processing.get("topic", processing["purpose"])
    click.echo(f"  {event['event_time']}  {about}: {event['event_type']}, record {record['record_id']}")
    if key is None:
        click.echo(
            f"Signed with the key {data['key']}: compare it with the one you had from elsewhere, or name that with --key."
        )


@ledger.command(
    epilog='Example: preference-center ledger guardian kid@example.org --topic news --by "mother, form of 3 May"'
)
@click.argument("email")
@click.option("--topic", "topic_key", required=True, help="The topic's key.")
@click.option("--by", required=True, help="Who agreed, and how that is known. It is locked away with the record.")
def guardian(email: str, topic_key: str, by: str) -> None:
    """Write down that a parent or guardian agreed for somebody who is too young to agree alone."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.commands.people import explaining
        from preference_center.consent import ledger as consents
        from preference_center.consent import projection
        from preference_center.consent.ledger import Evidence
        from preference_center.db import transaction
        from preference_center.topics import catalogue
        from preference_center.topics.purposes import LegalBasis

        with transaction():
            contact, topic = explaining.known(email), catalogue.by_key(topic_key)
            said = Evidence("admin", desk.ACTOR, actor=projection.GUARDIAN, detail={"guardian": by})
            made = consents.grant(contact, topic, LegalBasis.consent, said)
            audit.note(desk.ACTOR, "consent.by_guardian", "contact", contact.public_id, topic=topic.key)
    click.echo("Written down." if made else "The topic is on already.")
