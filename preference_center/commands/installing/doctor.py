"""`doctor`: looks at everything an installation needs, a line each: ok, warning or fault, with the remedy."""

from typing import Any

import click

from preference_center.commands import desk


@click.command(epilog="Example: preference-center doctor")
@desk.as_json
def doctor(as_json: bool) -> None:
    """Check settings, data folder, journals, database, migrations, queue, relay, DNS, link keys, disk and clock.

    Changes nothing. Exit status 1 when there is a fault; warnings do not count. Needs some seconds at most.
    """
    from preference_center.commands.installing import checks

    found: list[Any] = []
    for name, check in checks.everything():
        found.append((name, *check()))
        if not as_json:
            _, state, words = found[-1]
            click.echo(f"{click.style(f'{state:<8}', fg=_COLOUR[state])} {name}: {words}")
    if as_json:
        desk.print_json([{"check": name, "state": state, "words": words} for name, state, words in found])
    faults = sum(state == "fault" for _, state, _ in found)
    if faults:
        raise click.ClickException(
            f"{faults} {'fault' if faults == 1 else 'faults'}; the lines above name the remedies."
        )


_COLOUR = {"ok": "green", "warning": "yellow", "fault": "red"}
