"""`users`: the people who work here."""

import click

from preference_center.commands import desk


@click.group(epilog="Example: preference-center users create anna@example.com --role owner")
def users() -> None:
    """The people who work here."""


@users.command(epilog="Example: preference-center users create anna@example.com --role marketer")
@click.argument("email")
@click.option("--role", required=True, type=click.Choice(["owner", "marketer", "viewer"]), help="What they may do.")
@desk.as_json
def create(email: str, role: str, as_json: bool) -> None:
    """Invite a user: prints a link that works once and lets them choose a password. Again for a fresh link."""
    with desk.app():
        from preference_center.accounts import invitations
        from preference_center.db import transaction

        with transaction():
            invited = invitations.invite(email, role, actor=desk.ACTOR)
            made = {"id": invited.user.public_id, "email": invited.user.email, "role": role, "link": invited.url}
    if as_json:
        desk.print_json(made)
        return
    click.echo(made["link"])
    click.echo("Hand this link over by a safe way. It works once, for 48 hours.", err=True)
