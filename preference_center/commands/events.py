"""`events`: what came back of our mail."""

import click

from preference_center.commands import mailbox


@click.group(epilog="Example: preference-center events mail bounce.eml")
def events() -> None:
    """What came back of our mail."""


events.add_command(mailbox.mail)
