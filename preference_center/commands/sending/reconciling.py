"""`campaigns reconcile`: after the database was restored, what this machine knows to have left, so that it does not leave again."""

from collections import Counter

import click

from preference_center.commands import desk


@click.command(epilog="Example: preference-center campaigns reconcile --release")
@click.option("--release", is_flag=True, help="Then let mail leave again. On the last machine alone.")
@desk.as_json
def reconcile(release: bool, as_json: bool) -> None:
    """After a restore or a failover: hold all mail, and settle what the journals of this machine know to have left.

    Run it on each machine that has workers. Nothing is sent, and doing it twice changes nothing more.
    """
    found: Counter[str] = Counter()
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.delivery import sweeping
        from preference_center.delivery.restoring import holding, reconciling

        with transaction():
            holding.reason()  # no worker may have looked yet: a restored house is mended before they start
        for run_id in sweeping.open_runs():
            with transaction():
                found += sweeping.settle_run(run_id)
        sweeping.tidy_journals()
        for step in reconciling.steps():
            with transaction():
                found += step()
        with transaction():
            found += Counter(notice=holding.drop_stale() if release else 0)
            audit.note(desk.ACTOR, "campaigns.reconciled", "installation", "", **found, released=release)
            if release or holding.held():
                holding.accept()
            waiting = [(one.public_id, one.name) for one in holding.release()] if release else []
            others, why = holding.other_machines(), holding.held()
    if as_json:
        desk.print_json(
            {"settled": dict(found), "held": why, "other_machines": others, "paused": [one for one, _ in waiting]}
        )
        return
    for state, count in sorted(found.items()):
        click.echo(f"{count:>9} {_WORDS[state]}")
    if not found:
        click.echo("The journals here know of nothing that the database does not.")
    if others:
        click.echo(f"Others that have sent: {', '.join(others)}. Run it there too, if they are still there.")
    if why:
        click.echo("Nothing leaves until it is run once with --release. Enter the withdrawals you know of before that.")
    for public_id, name in waiting:
        click.echo(f"{name} is paused: campaigns resume {public_id}, or cancel it.")


_WORDS = {
    "sent": "had left, and leave no second time",
    "failed": "had been refused",
    "uncertain": "may have left: uncertain",
    "unknown": "had left to people who are no contacts any more: added after the backup was made",
    "notice": "service mails were due before the restore: most likely they went, and they are not sent again",
    "unknown_campaign": "had left in campaigns that are no more: made after the backup. Do not send those again to everybody",
}
