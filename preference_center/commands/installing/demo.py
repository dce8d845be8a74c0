"""`demo`: everything embedded in one folder, sample people with proper consent, a first campaign, and an inbox to find it in."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preference_center import errors
from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.config import Settings
    from preference_center.supervisor import Supervisor

_PORT = 8025
_OWNER = "owner@example.com"


@click.command(epilog="Example: preference-center demo --once --json")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is kept; default: ./demo-data, with --once a folder that goes away.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65000),
    help="The site's port; the inbox gets the next one. Default: 8025, or a free one.",
)
@click.option(
    "--contacts", type=click.IntRange(1, 2_000_000), help="Make up so many people instead of the sample of 1,000."
)
@click.option("--once", is_flag=True, help="Stop when the campaign is finished, and print the closing sums.")
@desk.as_json
def demo(data: Path | None, port: int | None, contacts: int | None, once: bool, as_json: bool) -> None:
    """Try it: starts everything, imports sample people, sends a first campaign, and shows where to look.

    Run again in the same folder it goes on: nobody is imported twice, nobody is mailed twice.
    """
    passing = once and data is None
    folder = Path(tempfile.mkdtemp(prefix="pc-demo-")) if passing else (data or Path("demo-data"))
    try:
        _run(folder.absolute(), port, contacts, once, as_json)
    except errors.DomainError:
        passing = passing and not (folder / "logs").exists()  # what went wrong names one of them
        raise
    finally:
        if passing:
            shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, port: int | None, contacts: int | None, once: bool, as_json: bool) -> None:
    from preference_center import config, supervisor
    from preference_center.commands.installing import demo_parts, house

    if port is not None:
        demo_parts.check(port)
    # two demos in one folder, or a folder that cannot be written, are found before anything is made in it
    with supervisor.Supervisor(folder, {}, _say, logs=folder / "logs") as running:
        ports = demo_parts.ports(folder, port, _PORT)
        own = demo_parts.environment(folder, ports)
        running.environ = config.environment(own)
        settings = config.read(own)
        kept = demo_parts.keep(folder, own)
        house.bring_up_to_date(settings)
        _say(f"Starting in {folder} …")
        house.start(running, settings, mail=demo_parts.catcher(ports))
        sums = _work(running, settings, kept, ports.inbox, contacts, once, as_json)
        if not once:
            _say("Ctrl-C stops it; run the same command again to go on.")
            running.wait(lambda: False)
        if sums["state"] != "sent":
            raise click.ClickException(f"The campaign is {sums['state']}, not sent. {sums['trouble'] or ''}".rstrip())


def _work(
    running: "Supervisor",
    settings: "Settings",
    kept: Path,
    inbox: int,
    contacts: int | None,
    once: bool,
    as_json: bool,
) -> dict[str, Any]:
    from preference_center.commands.installing import demo_parts

    with desk.app(settings):
        demo_parts.people(running, contacts)
        number = demo_parts.campaign()
        demo_parts.follow(running, number)
        sums = demo_parts.sums(number)
        owner = demo_parts.owner(_OWNER) if not once else None
        places = demo_parts.places(number, inbox, owner, settings, kept)
    if as_json:
        desk.print_json({name: sums[name] for name in demo_parts.SUMS})
    else:
        click.echo(demo_parts.in_words(sums))
    if not once:
        _say("")
        for what, where in places:
            _say(f"{what}\n  {where}")
        _say("")
    return sums


def _say(words: str) -> None:
    click.echo(words, err=True)
