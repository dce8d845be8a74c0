"""The checks of `doctor`. Each takes a few seconds at most, changes nothing, and answers with a state and plain words."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import redis
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from preference_center import clock, config, embedded, kept_secrets
from preference_center.commands import faults
from preference_center.commands.installing import mailbox_check, relay_check, sending_check
from preference_center.config import Settings
from preference_center.mail.preflight import report
from preference_center.mail.preflight.findings import Standing
from preference_center.mail.relay import Relay
from preference_center.webhooks import hooks

Finding = tuple[str, str]
OK, WARNING, FAULT = "ok", "warning", "fault"
_SECONDS = 3.0
_ROOM = 1 << 30


def everything() -> Iterator[tuple[str, Callable[[], Finding]]]:
    """All checks in order. Without right settings only the settings' own faults can be told."""
    try:
        settings = hooks.read_settings()
    except config.BadSettings as wrong:
        for fault in wrong.faults:
            yield "settings", partial(_said, FAULT, fault)
        return
    yield "settings", partial(_said, OK, "complete.")
    for name, check in (
        ("data folder", _folder), ("disk", _disk), ("journals", _journals),
        ("database", _database), ("migrations", _migrations), ("queue", _queue),
        ("relay", _relay), ("sending domain", _domain), ("link keys", _keys), ("public address", _address), ("clock", _clock),
        ("sending", _sending),
        ("requests", _requests),
        ("reports", _reports),
        ("mailbox", _mailbox),
    ):  # fmt: skip
        yield name, partial(_looked, check, settings)


def _looked(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except OSError as trouble:  # a file of ours that belongs to somebody else
        return (
            FAULT,
            f"{trouble.filename or 'a file'} cannot be read: {trouble.strerror or trouble}. Give it to this user.",
        )


def _said(state: str, words: str) -> Finding:
    return state, words


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    if not folder.is_dir():
        return WARNING, f"{folder} does not exist yet; it is made at the first start."
    if not os.access(folder, os.W_OK | os.X_OK):
        return FAULT, f"{folder} cannot be written. Give it to this user, or name another DATA_DIR."
    if folder.stat().st_mode & 0o077:
        return WARNING, f"others can look into {folder}. Close it: chmod 700 {folder}"
    return OK, f"{folder} can be written by us alone."


def _disk(settings: Settings) -> Finding:
    place = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    words = f"{free / _ROOM:.1f} GB are free in {place}."
    return (
        (OK, words) if free > _ROOM else (FAULT if free < _ROOM / 10 else WARNING, f"{words} Make room, or add disk.")
    )


def _journals(settings: Settings) -> Finding:
    """Where each run of a campaign notes what has left: when it cannot, nothing is sent."""
    folder = settings.journals
    place = next(one for one in (folder, *folder.absolute().parents) if os.access(one, os.F_OK))
    if not place.is_dir():
        return (
            FAULT,
            f"{place} is a file where a folder should be. Move it away, or name another PREFERENCE_CENTER_JOURNAL_DIR.",
        )
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return FAULT, f"{place} cannot be read and written. Give it to this user."
    return OK, f"{folder} can be written."


def _database(settings: Settings) -> Finding:
    try:
        return OK, f"answers: {_at_database(settings, 'SELECT sqlite_version()', 'SHOW server_version')}."
    except FileNotFoundError as nothing:
        return WARNING, f"{nothing}."
    except SQLAlchemyError as trouble:
        return (
            FAULT,
            f"does not answer ({_short(trouble)}). Check DATABASE_URL, and that the server runs and lets us in.",
        )


def _at_database(settings: Settings, sqlite: str, postgresql: str) -> str:
    if settings.database_url.startswith("sqlite:///"):
        file = settings.database_url.removeprefix("sqlite:///")
        if not os.path.exists(file):  # noqa: PTH110 - looking must not create it
            raise FileNotFoundError(f"{file} does not exist yet: `preference-center up` makes it, or `db upgrade`")
        return f"SQLite {_scalar(settings, sqlite)}"
    return f"PostgreSQL {_scalar(settings, postgresql)}"


def _scalar(settings: Settings, statement: str) -> str:
    engine = create_engine(settings.database_url, connect_args=_patience(settings))
    try:
        with engine.connect() as connection:
            return str(connection.execute(text(statement)).scalar())
    finally:
        engine.dispose()


def _patience(settings: Settings) -> dict[str, float]:
    return {"timeout": _SECONDS} if settings.database_url.startswith("sqlite") else {"connect_timeout": int(_SECONDS)}


def _migrations(settings: Settings) -> Finding:
    head = ScriptDirectory(str(Path(config.__file__).parent / "migrations")).get_current_head()
    try:
        _at_database(settings, "SELECT 1", "SELECT 1")
        engine = create_engine(settings.database_url, connect_args=_patience(settings))
        with engine.connect() as connection:
            now = MigrationContext.configure(connection).get_current_revision()
        engine.dispose()
    except FileNotFoundError:
        return WARNING, "none yet: the database is still to be made."
    except SQLAlchemyError:
        return FAULT, "not known while the database does not answer."
    if now == head:
        return OK, f"at {now}, the newest."
    return FAULT, f"the database is at {now or 'nothing'}, the program at {head}. Run `preference-center db upgrade`."


def _queue(settings: Settings) -> Finding:
    own = settings.redis_url is None
    remedy = "Start it: `preference-center up`." if own else "Check REDIS_URL, and that the server runs and lets us in."
    try:
        with redis.Redis.from_url(
            embedded.redis_url(settings), socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS
        ) as queue:
            queue.ping()
            policy = _policy(queue)
    except (redis.RedisError, OSError) as trouble:
        return WARNING if own else FAULT, f"does not answer ({_short(trouble)}). {remedy}"
    if policy and policy != "noeviction":
        return (
            FAULT,
            f"answers, but throws work away when its memory is full. Set maxmemory-policy noeviction (it is {policy}).",
        )
    if not policy:
        return (
            WARNING,
            "answers; whether it throws work away when its memory is full it does not say. It must be noeviction.",
        )
    return OK, "answers, and never throws work away."


def _policy(queue: "redis.Redis") -> str:
    try:
        return str(queue.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    except redis.ResponseError:  # some hosted servers do not let one ask
        return ""


def _relay(settings: Settings) -> Finding:
    try:
        relay = Relay.from_url(settings.relay_url)
    except ValueError as wrong:
        return FAULT, f"RELAY_URL: {wrong}."
    return relay_check.look(relay, _SECONDS)


def _mailbox(settings: Settings) -> Finding:
    reads, words = mailbox_check.look(settings)
    return OK if reads else WARNING, words


def _domain(settings: Settings) -> Finding:
    """SPF, DKIM, DMARC, where bounces go, and the names of our addresses, as far as a resolver answers (S90)."""
    domain, found = settings.sending_domain, report.look(settings, _SECONDS)
    if not found:
        return (
            WARNING,
            f"{domain} is a name for examples: nobody can be mailed from it. Set MAIL_FROM to your own domain.",
        )
    failed, unknown, well = (
        [str(one) for one in found if one.standing is standing]
        for standing in (Standing.failed, Standing.not_known, Standing.ok)
    )
    if not failed and not well:
        return WARNING, f"no resolver answered within {_SECONDS:.0f} s, so the records of {domain} were not looked at."
    if failed:
        return WARNING, f"mailbox providers want it in order. {' '.join(failed)}"
    return OK, f"nothing wrong was found at {domain}. {' '.join([*well, *(f'Not known: {one}' for one in unknown)])}"


def _keys(settings: Settings) -> Finding:
    ids = [kid for kid, _ in settings.link_keys]
    words = f"{ids[-1]} signs; {len(ids)} verify."
    secrets = kept_secrets.file_of(settings.data_dir)
    if secrets.exists() and secrets.stat().st_mode & 0o077:
        return FAULT, f"{words} Others can read {secrets}. Close it: chmod 600 {secrets}"
    return OK, words


def _address(settings: Settings) -> Finding:
    if settings.public_url.startswith("https:"):
        return OK, f"{settings.public_url}."
    return (
        WARNING,
        f"{settings.public_url} is only for this machine: mailbox providers offer one-click leaving for https alone.",
    )


def _sending(settings: Settings) -> Finding:
    try:
        _at_database(settings, "SELECT 1", "SELECT 1")  # looking must not make a database
        held, stuck = sending_check.look(settings), sending_check.stuck(settings)
    except (SQLAlchemyError, FileNotFoundError):
        return WARNING, "not looked at while the database does not answer or is not up to date."
    if held or stuck:
        return (FAULT if held else WARNING), held or " ".join(stuck)
    return OK, "nothing keeps mail from leaving."


def _requests(settings: Settings) -> Finding:
    """Requests of people that must be answered soon by law (S101)."""
    soon = clock.now() + timedelta(days=7)
    near = "SELECT count(*) FROM data_requests WHERE state = 'open' AND due_at < "
    try:
        told = _at_database(settings, f"{near}{int(soon.timestamp() * 1e6)}", f"{near}'{soon.isoformat()}'")
    except (SQLAlchemyError, FileNotFoundError):
        return WARNING, "not known while the database does not answer."
    count = told.rpartition(" ")[2]
    if int(count):
        return WARNING, f"{count} must be answered within seven days, or should have been. The law sets the day."
    return OK, "none that must be answered soon."


def _reports(settings: Settings) -> Finding:
    """What providers and mailboxes report: whether it comes in, is read, and can be believed."""
    from preference_center.commands import desk
    from preference_center.db import db
    from preference_center.webhooks import queries

    try:
        _at_database(settings, "SELECT 1", "SELECT 1")  # looking must not make a database
        with desk.app(settings):
            try:
                standing, ways = queries.standing(), sorted(hooks.set_up())
            finally:
                db.session.remove()
                db.engine.dispose()
    except (SQLAlchemyError, FileNotFoundError):
        return WARNING, "not looked at while the database does not answer or is not up to date."
    if standing.troubles:
        return WARNING, " ".join(standing.troubles)
    return OK, f"hooks are set up for {', '.join(ways)}." if ways else "no provider's hook is set up."


def _clock(settings: Settings) -> Finding:
    """Against the database where that is another machine; links and schedules depend on it."""
    if settings.database_url.startswith("sqlite"):
        return OK, f"{clock.now():%Y-%m-%d %H:%M:%S} UTC; compare it yourself, there is no second machine to ask."
    try:
        begun = clock.now().timestamp()
        theirs = float(_scalar(settings, "SELECT extract(epoch FROM clock_timestamp())"))
        apart = max(0.0, begun - theirs, theirs - clock.now().timestamp())
    except SQLAlchemyError:
        return WARNING, "not compared while the database does not answer."
    if apart > 2:
        return FAULT, f"{apart:.1f} s away from the database's. Let both machines take the time from one source (NTP)."
    return OK, f"within {max(apart, 0.1):.1f} s of the database's."


def _short(trouble: BaseException) -> str:
    lines = faults.without_addresses(str(getattr(trouble, "orig", None) or trouble)).strip().splitlines()
    return (lines[0].rstrip(".") if lines else type(trouble).__name__)[:160]
