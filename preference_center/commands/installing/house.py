"""Starts the parts of an installation under a supervisor, in the order they need each other."""

import logging

from preference_center import embedded, supervisor
from preference_center.config import Settings
from preference_center.errors import Unavailable
from preference_center.supervisor import Child, Supervisor

_PATIENCE = (
    180.0  # seconds for the web server's first answer: a small, busy machine compiles everything at the first start
)
_QUEUE, _MAIL, _WORK = 0, 1, 2  # stages: who hands over mail leaves before who takes it, the queue server last


def bring_up_to_date(settings: Settings) -> str:
    """All migrations; the revision the database is at now."""
    from alembic.migration import MigrationContext
    from flask_migrate import upgrade

    from preference_center.commands import desk
    from preference_center.db import db

    with desk.app(settings):
        logging.getLogger("alembic").setLevel(logging.WARNING)
        upgrade()
        with db.engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
        db.engine.dispose()
    return revision or "no migrations"


def start(running: Supervisor, settings: Settings, *, mail: list[Child] | None = None) -> None:
    """Queue server if embedded, what else is asked for, workers, clock, web; returns when the web answers."""
    if settings.redis_url is None:
        queue = running.start(
            Child(
                "queue", embedded.command(settings), _QUEUE,
                prepare=lambda: embedded.prepare(settings), tidy=lambda: embedded.tidy(settings),
            )
        )  # fmt: skip
        embedded.wait_until_ready(settings, lambda: queue.alive)
    for child in mail or []:
        child.stage = _MAIL
        running.start(child)
    for number in range(1, settings.workers + 1):
        running.start(Child(f"worker-{number}", supervisor.python("-m", "worker"), _WORK, patience=20))
    if settings.mailbox_listen:
        running.start(Child("mailbox", supervisor.python("-m", "preference_center", "mailbox"), _WORK))
    running.start(Child("clock", supervisor.python("-m", "worker", "clock"), _WORK))
    web = running.start(Child("web", supervisor.python("-m", "preference_center", "web"), _WORK))
    address = f"http://{_in_url(settings.host)}:{settings.port}/readyz"
    if not running.wait(lambda: supervisor.answers(address), seconds=_PATIENCE):
        where = f" See {running.logs / 'web.log'}." if running.logs else ""
        raise Unavailable(
            f"The web server did not get ready within {_PATIENCE / 60:.0f} minutes{'' if web.alive else ': it ended'}.{where}"
        )


def first_owner(settings: Settings) -> str | None:
    """While nobody can sign in: a fresh one-time link for the first owner, under our own contact address."""
    from preference_center.accounts import invitations, queries
    from preference_center.commands import desk
    from preference_center.db import db, transaction

    email = settings.contact_email or settings.from_address
    with desk.app(settings):
        known = queries.everyone()
        if any(user.password for user in known) or any(user.email != email.casefold() for user in known):
            return None
        with transaction():
            url = invitations.invite(email, "owner", actor=desk.ACTOR).url
        db.engine.dispose()
    return (
        f"Nobody can sign in yet. Make the first owner, who signs in as {email}, with this link; it works once, for 48 hours:\n"
        f"  {url}\n"
        "For another address: preference-center users create EMAIL --role owner"
    )


def _in_url(host: str) -> str:
    """The address at which a server bound to this host answers on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host
