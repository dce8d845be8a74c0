"""`mailbox`: the process that takes mail for our own addresses. `events mail`: one mail from a file or a pipe."""

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.webhooks.mailbox import Reading


@click.command(epilog="Example: PREFERENCE_CENTER_MAILBOX_LISTEN=127.0.0.1:8024 preference-center mailbox")
def mailbox() -> None:
    """Take bounces, complaints and unsubscribe mails by LMTP or SMTP, at PREFERENCE_CENTER_MAILBOX_LISTEN."""
    from preference_center import config, supervisor

    settings = config.read()
    if not settings.mailbox_listen:
        raise click.ClickException(
            "PREFERENCE_CENTER_MAILBOX_LISTEN is missing: where to listen, such as 127.0.0.1:8024."
        )
    host, _, port = settings.mailbox_listen.rpartition(":")
    supervisor.check_port(host.strip("[]"), int(port))

    from preference_center.app import create_app
    from preference_center.webhooks import listening

    async def run() -> None:
        stop = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        await listening.serve(create_app(settings), host.strip("[]"), int(port), stop)

    asyncio.run(run())


@click.command("mail", epilog="Example: preference-center events mail - < bounce.eml")
@click.argument("file", type=click.File("rb"))
@click.option("--to", "sent_to", multiple=True, metavar="ADDRESS", help="The address it was handed over for.")
@click.option("--dry-run", is_flag=True, help="Say what it means; store nothing.")
@desk.as_json
def mail(file: BinaryIO, sent_to: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Take one mail that came back: a bounce, a complaint, an unsubscribe mail.

    FILE may be -, for a pipe from a mail server. Exit status 75 asks the server to try again later.
    """
    from preference_center.webhooks.reports.parts import SIZE_LIMIT

    raw = file.read(SIZE_LIMIT)
    while file.read(SIZE_LIMIT):  # a mail server takes a closed pipe for a failure
        pass
    try:
        found = _take(raw, sent_to, dry_run)
    except click.ClickException:
        raise
    except Exception as trouble:
        from preference_center.commands import faults

        click.echo(faults.in_plain_words(trouble), err=True)
        sys.exit(os.EX_TEMPFAIL)
    if found is None:
        click.echo("Kept, but a fault of this program keeps it from being read: a person should look at it.", err=True)
        if as_json:
            desk.print_json([])
        return
    if as_json:
        desk.print_json([_as_data(found, number) for number in range(len(found.findings))])
        return
    for finding in found.findings:
        click.echo(" ".join(filter(None, (finding.meaning, finding.status, finding.recipient))))
    click.echo("tied to a message of ours" if found.tie else "not tied to any message of ours: nothing changes")


def _take(raw: bytes, sent_to: tuple[str, ...], dry_run: bool) -> "Reading | None":
    with desk.app():
        from preference_center import clock, jobs
        from preference_center.db import transaction
        from preference_center.webhooks import mailbox as mails
        from preference_center.webhooks import refusals

        if dry_run:
            return mails.understand(raw, sent_to)
        kept = mails.keep(raw, sent_to, clock.now(), way="command")
        if not kept.stored:
            refusals.write()
            click.echo("Not kept: enough that say the same of the same message came today.", err=True)
        with transaction():
            jobs.later(jobs.PROCESS_POSTS)
    return kept.reading


def _as_data(found: "Reading", number: int) -> dict[str, Any]:
    finding = found.findings[number]
    return {
        "class": str(finding.meaning),
        "recipient": finding.recipient,
        "status": finding.status,
        "action": finding.action,
        "final_recipient": finding.final_recipient,
        "feedback_type": finding.feedback_type,
        "hint": finding.hint,
        "tied": found.tie is not None,
    }


@click.command(epilog="Example: preference-center events letters --limit 20")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@desk.as_json
def letters(limit: int, as_json: bool) -> None:
    """Mails that came back and wait for a person: letters, and reports that nothing ties to a message of ours."""
    with desk.app():
        from preference_center.webhooks import mailbox as mails

        rows: list[dict[str, Any]] = [
            {
                "id": post.public_id,
                "received_at": post.received_at,
                "why": post.trouble,
                "way": post.name,
                "size": post.size,
            }
            for post in mails.for_a_person(limit)
        ]
    if as_json:
        desk.print_json(rows)
        return
    desk.print_table(
        ("id", "received", "why", "came by", "bytes"),
        [(row["id"], desk.local(row["received_at"]), row["why"], row["way"], row["size"]) for row in rows],
        "Nothing waits for a person.",
    )


@click.command(epilog="Example: preference-center events letter ID > letter.eml")
@click.argument("public_id", metavar="ID")
def letter(public_id: str) -> None:
    """One of them as it came, to be read in a mail program. It names people; audited."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.webhooks import mailbox as mails

        raw = mails.raw_of(public_id)
        with transaction():
            audit.note(desk.ACTOR, "post.read", "post", public_id)
        sys.stdout.buffer.write(raw)
