"""`db`: the database's migrations."""

import click


@click.group(epilog="Example: preference-center db upgrade")
def db() -> None:
    """The database."""


@db.command(epilog="Example: preference-center db upgrade")
def upgrade() -> None:
    """Bring the database up to date. Safe to run again."""
    from preference_center import config
    from preference_center.commands.installing import house

    click.echo(f"The database is up to date ({house.bring_up_to_date(config.read())}).")
