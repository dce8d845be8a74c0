"""`keys`: rotation of the keys that sign links. The newest signs, all verify, so links in old mails keep working."""

import secrets

import click

from preference_center.commands import desk


@click.group(epilog="Example: preference-center keys list")
def keys() -> None:
    """The keys that sign links."""


@keys.command("list", epilog="Example: preference-center keys list --json")
@desk.as_json
def list_(as_json: bool) -> None:
    """The keys by id, oldest first. Secrets are not shown."""
    from preference_center import config

    ids = [kid for kid, _secret in config.read().link_keys]
    if as_json:
        desk.print_json([{"id": kid, "signs": kid == ids[-1]} for kid in ids])
        return
    desk.print_table(("id", "use"), [(kid, "signs" if kid == ids[-1] else "verifies") for kid in ids], "")


@keys.command(epilog="Example: preference-center keys add")
def add() -> None:
    """Add a key that signs from now on; older ones go on verifying."""
    from preference_center import config, kept_secrets

    settings = config.read()
    taken = {kid for kid, _secret in settings.link_keys}
    kid = next(str(number) for number in range(1, 10_000) if str(number) not in taken)
    line = ",".join(f"{known}:{secret}" for known, secret in (*settings.link_keys, (kid, secrets.token_hex(32))))
    if not config.keeps_link_keys(settings):
        click.echo(f"LINK_KEYS={line}")
        click.echo(
            f"This holds the new key {kid} and all older ones. Set it on every machine, workers last, then start them again.",
            err=True,
        )
        return
    kept_secrets.change(settings.data_dir, "LINK_KEYS", line)
    _note(kid)
    click.echo(f"Key {kid} was added. Start Preference Center again: it signs from then on.")


def _note(kid: str) -> None:
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction

        with transaction():
            audit.note(desk.ACTOR, "link_key.added", "link_key", kid)
