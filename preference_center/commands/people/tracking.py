"""`tracking`: whether people are offered the switch to be seen opening and clicking. Off until somebody runs `on`."""

import click

from preference_center.commands import desk


@click.group(epilog="Example: preference-center tracking on")
def tracking() -> None:
    """Opens and clicks, of people who agreed to that. Without their consent a mail has neither image nor rewritten link."""


@tracking.command(epilog="Example: preference-center tracking on")
def on() -> None:
    """Offer people the switch, on the preference page and the sign-up form. It is off for everybody until they tick it."""
    _change(
        "tracking.offered",
        "People may now let us see whether they open and click. It is off for all who do not tick it.",
    )


@tracking.command(epilog="Example: preference-center tracking off")
def off() -> None:
    """Take the switch away: nothing is counted from now on, also not for mail that was sent. `on` asks everybody anew."""
    _change(
        "tracking.stopped", "Nothing is counted any more. What people said stays on record; `on` asks everybody anew."
    )


def _change(action: str, words: str) -> None:
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.consent import tracking as consent
        from preference_center.db import transaction

        with transaction():
            consent.offer() if action == "tracking.offered" else consent.stop()
            audit.note(desk.ACTOR, action, "tracking", "")
    click.echo(words)
