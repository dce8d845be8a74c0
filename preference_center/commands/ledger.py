"""`ledger`: is the state of every contact what their consent records say?"""

import click

from preference_center.commands import desk

_SHOWN = 20


@click.group(epilog="Example: preference-center ledger verify")
def ledger() -> None:
    """The consent ledger."""


@ledger.command(epilog="Example: preference-center ledger verify --json")
@desk.as_json
def verify(as_json: bool) -> None:
    """Rebuild every contact's state from the records and compare. Changes nothing; exit status 1 when they differ."""
    with desk.app():
        from sqlalchemy import func, select

        from preference_center.consent import projection
        from preference_center.consent.models import ConsentRecord
        from preference_center.contacts.models import Contact
        from preference_center.db import db

        wrong = [contact_id for contact_id, _stored, _rebuilt in projection.differences()]
        records = db.session.scalar(select(func.count()).select_from(ConsentRecord)) or 0
        named = list(db.session.scalars(select(Contact.public_id).where(Contact.id.in_(wrong[:_SHOWN]))))
    if as_json:
        desk.print_json({"records": records, "differences": len(wrong), "contacts": named})
    elif not wrong:
        click.echo(f"{records} consent records; every contact's state is what they say.")
    if wrong:
        raise click.ClickException(
            f"{len(wrong)} contacts stand otherwise than their records say: {', '.join(named)}"
            + (" …" if len(wrong) > _SHOWN else ".")
        )
