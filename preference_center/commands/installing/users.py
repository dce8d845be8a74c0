"""`users`: the people who work here."""

from typing import TYPE_CHECKING, Any

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.accounts.invitations import Invited


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
            made = _said(invitations.invite(email, role, actor=desk.ACTOR))
    _print(made, as_json)


@users.command(epilog="Example: preference-center users reset-second-factor anna@example.com")
@click.argument("email")
@desk.as_json
def reset_second_factor(email: str, as_json: bool) -> None:
    """For who lost their phone and recovery codes: prints a link to a new password and a new second factor.

    Their password, their second factor and all their sessions end at once. Be sure that it is them who asks.
    """
    with desk.app():
        from preference_center.accounts import invitations
        from preference_center.db import transaction

        with transaction():
            made = _said(invitations.start_over(email, actor=desk.ACTOR))
    _print(made, as_json)


def _said(invited: "Invited") -> dict[str, Any]:
    user = invited.user
    return {"id": user.public_id, "email": user.email, "role": user.role, "link": invited.url}


def _print(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        desk.print_json(made)
        return
    click.echo(made["link"])
    click.echo("Hand this link over by a safe way. It works once, for 48 hours.", err=True)
