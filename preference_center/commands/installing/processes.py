"""`up`, `web`, `worker`, `clock`: the processes of an installation, all together or one by one."""

import sys

import click

_THREADS = (
    16  # a page waits for its database more than it computes, and posts of providers that wait together share a commit
)


@click.command(epilog="Example: PREFERENCE_CENTER_ENV=/etc/preference-center.env preference-center up")
def up() -> None:
    """Run everything on this machine: queue server if embedded, web, workers, clock.

    Brings the database up to date first. Ctrl-C stops all of it and leaves nothing behind.
    """
    from preference_center import config, supervisor
    from preference_center.commands.installing import house

    settings = config.read()
    supervisor.check_port(settings.host, settings.port)
    with supervisor.Supervisor(settings.data_dir, config.environment(), _say) as running:
        house.bring_up_to_date(settings)
        house.start(running, settings)
        _say(f"Preference Center runs at {settings.public_url}. Ctrl-C stops it.")
        first = house.first_owner(settings)
        if first:
            _say(first)
        running.wait(lambda: False)
    _say("Stopped.")


@click.command(epilog="Example: preference-center web")
def web() -> None:
    """Run the web server alone, at PREFERENCE_CENTER_HOST and PREFERENCE_CENTER_PORT."""
    from preference_center import config, serving, supervisor

    settings = config.read()
    supervisor.check_port(settings.host, settings.port)
    serving.serve("preference_center.wsgi:site", settings.host, settings.port, _THREADS, settings.web_workers)


@click.command(epilog="Example: preference-center worker delivery campaigns")
@click.argument("queues", nargs=-1, metavar="[QUEUE…]")
def worker(queues: tuple[str, ...]) -> None:
    """Run one worker alone, on all queues or the ones named, most urgent first."""
    from preference_center.jobs import QUEUES

    unknown = [queue for queue in queues if queue not in QUEUES]
    if unknown:
        raise click.UsageError(f"There is no queue {unknown[0]}. The queues are: {', '.join(QUEUES)}.")
    _become("worker", *queues)


@click.command(epilog="Example: preference-center clock")
def clock() -> None:
    """Run the clock alone. Two clocks do no harm."""
    _become("worker", "clock")


def _become(module: str, *arguments: str) -> None:
    """Go on as another of our programs, in the same process, once the settings are known to be right."""
    import runpy

    from preference_center import config

    config.read()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _say(words: str) -> None:
    click.echo(words, err=True)
