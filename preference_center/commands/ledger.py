"""`ledger`: is the consent ledger as it was sealed, and is the state of every contact what it says? Checkpoints and proofs of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.consent.chain.signed import Checkpoint

_SHOWN = 20
_FILE = click.Path(dir_okay=False, path_type=Path)


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
@desk.as_json
def verify(file: Path | None, keys: tuple[str, ...], as_json: bool) -> None:
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
            wrong = [contact_id for contact_id, _stored, _rebuilt in projection.differences(connection)]
        named = list(db.session.scalars(select(Contact.public_id).where(Contact.id.in_(wrong[:_SHOWN]))))
        faults, lost = list(finding.faults), vault.missing()
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
                "differences": len(wrong),
                "contacts": named,
                "faults": faults,
            }
        )
    elif not faults:
        _tell(finding)
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
