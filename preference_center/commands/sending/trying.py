"""`events test`: whether a hook works, by a made-up event or, where only the provider can sign, by waiting for one of its own."""

from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.webhooks.hooks import Hook


@click.command("test", epilog="Example: preference-center events test mailgun")
@click.argument("provider", metavar="PROVIDER[/NAME]")
@click.option(
    "--to", metavar="URL", help="Another way to the instance, such as http://127.0.0.1:8000; default: PUBLIC_URL."
)
@click.option(
    "--wait", type=click.IntRange(1, 3600), metavar="SECONDS",
    help="How long to wait: for a worker (default: 15), or for what you make the provider send.",
)  # fmt: skip
@desk.as_json
def test(provider: str, to: str | None, wait: int | None, as_json: bool) -> None:
    """Post a made-up event, signed as PROVIDER would, to the running instance. It is about nobody and changes nothing.

    Amazon SES and SendGrid alone can sign theirs. For these it says what to press there, and with --wait tells what arrives.
    """
    with desk.app():
        from preference_center.providers.base import CannotBeMadeUp
        from preference_center.webhooks import hooks

        hook = hooks.at(*provider.split("/", 1))
        try:
            _post(hook, provider, to, wait, as_json)
        except CannotBeMadeUp as told:
            if wait is None or not hook.secrets.values:
                raise click.ClickException(f"{told.message} {_nothing_tried(hook)}")
            _look_out(provider, to, wait, told.message, as_json)


def _post(hook: "Hook", path: str, to: str | None, wait: int | None, as_json: bool) -> None:
    from preference_center.webhooks import trying

    tried = trying.post_sample(path, to, wait or trying.PATIENCE)
    if as_json:
        desk.print_json(vars(tried))
    elif tried.status == HTTPStatus.OK:
        read = f"a worker read it: event {tried.event}" if tried.event else "no worker has read it yet"
        click.echo(f"Taken in {tried.seconds * 1000:.0f} ms; {read}.")
    if tried.status != HTTPStatus.OK:
        raise click.ClickException(f"/hooks/{path} answered {tried.status}: {tried.words}{_why(hook, tried.status)}")


def _why(hook: "Hook", status: int) -> str:
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            f" The sample was signed with this shell's settings ({_settings(hook)}, PUBLIC_URL). The running instance may have "
            "been started with others, or before they were changed."
        )
    if status == HTTPStatus.NOT_FOUND:
        return f" The running instance may have been started without this hook's settings ({_settings(hook)})."
    return ""


def _look_out(path: str, to: str | None, wait: int, what_to_do: str, as_json: bool) -> None:
    from preference_center.webhooks import trying

    trying.reach(path, to)
    click.echo(f"{what_to_do}\nThe address answers. Looking out for a post for {wait} s.", err=True)
    arrived = trying.look_out(path, wait)
    if as_json:
        desk.print_json(vars(arrived))
    elif arrived.post:
        read = f"read, events in it: {arrived.events}" if arrived.read else "no worker has read it yet"
        click.echo(f"A post arrived after {arrived.seconds:.0f} s and proved itself; {read}.")
    if not arrived.post:
        refused = "".join(f" {count} refused: {reason}." for reason, count in arrived.refused.items())
        raise click.ClickException(f"No post was taken at /hooks/{path} in {wait} s.{refused}")


def _settings(hook: "Hook") -> str:
    instance = f"__{hook.name.upper()}" if hook.name else ""
    names = (setting.name for setting in hook.provider.settings)
    return " or ".join(f"PREFERENCE_CENTER_HOOK_{hook.provider.name.upper()}{instance}_{name}" for name in names)


def _nothing_tried(hook: "Hook") -> str:
    if hook.secrets.values:
        return "Nothing was tried. With --wait 300 this looks out for what you make them send."
    return f"This shell's settings lack {_settings(hook)}; without it nothing of theirs is taken. Nothing was tried."
