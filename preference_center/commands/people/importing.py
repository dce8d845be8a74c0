"""Runs an import in this process, a transaction a step, and tells what became of the rows."""

from pathlib import Path
from typing import Any

import click

from preference_center.commands import desk
from preference_center.consent.declaring import declared
from preference_center.contacts import imports
from preference_center.contacts.models import Import
from preference_center.db import db, transaction


def run(file: Path, mapping: dict[str, str], *, shown: bool, **terms: Any) -> dict[str, Any]:
    """Receive the file, settle the terms, store it all. The row of the import stays as evidence, as from the import page."""
    with file.open("rb") as stream, transaction():
        received = imports.receive(stream, file.name, desk.ACTOR, imports.CLI_LIMIT)
        number = received.id
    try:
        encoding, overwrite = terms.get("encoding"), bool(terms.get("overwrite"))
        seen = declared.look(db.session.get_one(Import, number), mapping, encoding, overwrite=overwrite)
        with transaction():
            declared.declare(db.session.get_one(Import, number), mapping=mapping, seen=seen, **terms)
    except BaseException:
        with transaction():
            imports.cancel(db.session.get_one(Import, number))
        raise
    with desk.Progress(f"Reading {file.name}", unit="rows", shown=shown) as bar:
        for step in declared.steps(number):
            with transaction():
                progress = step()
            share = progress.bytes_read / progress.bytes_total if progress.bytes_total else 0
            bar.at(progress.rows, round(progress.rows / share) if share else None)
    done = db.session.get_one(Import, number, populate_existing=True)
    return {
        "id": done.public_id,
        "state": str(done.state),
        "dry_run": done.dry_run,
        "trouble": done.trouble,
        "ignored_columns": done.declared["ignored"],
        **done.figures,
        "faults": [{"line": f.line, "field": f.field, "reason": f.reason} for f in imports.faults(done, limit=1000)],
    }


def tell(result: dict[str, Any], faults_shown: int) -> None:
    """The figures in words, then the first faults by line."""
    would = "would be " if result["dry_run"] else ""
    click.echo(
        f"{result.get('rows', 0)} rows: {result.get('new', 0)} {would}new, {result.get('updated', 0)} {would}changed, "
        f"{result.get('unchanged', 0)} unchanged, {result.get('duplicate', 0)} repeated, {result.get('refused', 0)} refused."
    )
    for topic, outcomes in result.get("consent", {}).items():
        click.echo(f"{topic}: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in outcomes.items()))
    if result["ignored_columns"]:
        click.echo(f"Columns left alone: {', '.join(result['ignored_columns'])}.")
    faults = result["faults"]
    for fault in faults[:faults_shown]:
        click.echo(f"line {fault['line']}: {fault['field'] + ': ' if fault['field'] else ''}{fault['reason']}")
    if len(faults) > faults_shown:
        click.echo(f"… and {len(faults) - faults_shown} more; --json lists up to 1,000, the import page all.")
    if result["dry_run"]:
        click.echo("Nothing was stored: this was a dry run.")
