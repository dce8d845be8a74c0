"""Nothing leaves while the database is older than what this machine has seen: it was restored, or a failover lost its end.

What had left since would leave again, and who withdrew since would be mailed. Service mail that a person asks for now goes.
Seen are the highest numbers of runs and of seals, at each sweep, and the run that ended here last (journal.py). The hold is a row
that all workers share, until a person ends it; its `changed_at` is the last moment known to be before the database went back.
"""

import json
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from flask import current_app
from sqlalchemy import ColumnElement, false, func, select

from preference_center import clock
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent.models import ConsentSeal
from preference_center.db import db
from preference_center.delivery import journal
from preference_center.delivery.models import Run
from preference_center.delivery.pace.paces import ALL_RELAYS, Pace
from preference_center.delivery.restoring import numbers, reconciling
from preference_center.notices import sending as notices

log = structlog.get_logger()

_FOR_GOOD = datetime(9999, 1, 1, tzinfo=UTC)
_WHY = "The database is older than what {host} has seen of it."
_REMEDY = " On each machine with workers run `preference-center campaigns reconcile`, on the last with --release."
OLDER = (
    _WHY.format(host="this machine")
    + _REMEDY
    + " It is another database on purpose? The same command accepts it. No two installations may share the folder of journals."
)
_FRESH = timedelta(minutes=10)  # before the hold, unless this machine knows better when the database went back


def held() -> str | None:
    """Why nothing leaves, and what to do; None when nothing holds it."""
    return db.session.scalar(select(Pace.reason).where(Pace.relay == ALL_RELAYS, Pace.domain == ""))


def reason() -> str | None:
    """The same, after a look whether the database has become older. Inside a `transaction()`."""
    return held() or (hold() if is_older() else None)


def hold() -> str:
    """Nothing leaves from the commit on: this machine knows of what the database has forgotten. One hold is enough, and the first."""
    if there := held():
        return there
    why = (_WHY.format(host=socket.gethostname()[:40]) + _REMEDY)[:200]
    _hold(why)
    log.error("database.older", why=why)
    return why


def is_older() -> bool:
    """Whether this machine has seen what the database has forgotten."""
    seen, name = _seen(), journal.newest_kept(_folder())  # before the database is asked: others add to both
    now = _counted()
    if any(now[kind] < seen.get(kind, 0) for kind in now):
        return True
    if name is not None and not has_ended(name):
        return True
    left = journal.read_left(_folder())
    return any(noted.people and (not _is_known(name) or reconciling.is_ahead(noted)) for name, noted in left)


def watch() -> None:
    """What each sweep does: hold what would leave, or note how far the database is."""
    if reason() is None:
        with suppress(OSError):  # a full disk must not keep the sweep from its work
            remember()


def remember() -> None:
    """Note how far the database is now, and when that was."""
    if any((now := _counted()).values()):
        _folder().mkdir(parents=True, exist_ok=True)
        fresh = _file().with_suffix(".new")
        fresh.write_text(json.dumps(now | {"at": int(clock.now().timestamp())}), encoding="ascii")
        fresh.replace(_file())


def accept() -> None:
    """What this machine knows has been settled: the database as it is now is the one to go by."""
    journal.forget_newest(_folder())
    _file().unlink(missing_ok=True)
    remember()


def stale_before() -> datetime | None:
    """While mail is held: service mail that was due before this has most likely left, though the database knows nothing of it."""
    return db.session.scalar(select(Pace.changed_at).where(Pace.relay == ALL_RELAYS, Pace.domain == ""))


def drop_stale() -> int:
    """Give that service mail up before mail is let leave again; how many they were."""
    before = stale_before()
    return notices.let_go(before) if before else 0


def release() -> list[Campaign]:
    """Let mail leave again. The campaigns that the hold has paused: a person resumes those that are still wanted."""
    held_row = db.session.get(Pace, (ALL_RELAYS, ""))
    if held_row is not None:
        db.session.delete(held_row)
    paused = select(Campaign).where(Campaign.state == CampaignState.paused, Campaign.pause_reason.endswith(_REMEDY))
    return list(db.session.scalars(paused.order_by(Campaign.id)))


def other_machines() -> list[str]:
    """Those that have sent before and may hold journals too."""
    hosts = select(Run.host).where(Run.host != socket.gethostname()[:80]).distinct().order_by(Run.host)
    return list(db.session.scalars(hosts))


def _hold(why: str) -> None:
    now = clock.now()
    fresh = {"relay": ALL_RELAYS, "domain": "", "paused_until": _FOR_GOOD, "reason": why}
    db.session.merge(Pace(**fresh, changed_at=min(now - _FRESH, _seen_at() or now)))
    for campaign_id in db.session.scalars(select(Campaign.id).where(Campaign.state == CampaignState.sending)).all():
        campaign = campaigns.lock(campaign_id)
        if campaign.state is CampaignState.sending:
            campaign.pause(now, why)
    numbers.skip()


def has_ended(name: str) -> bool:
    """Whether the run of this journal is known to have ended."""
    return bool(
        db.session.scalar(select(Run.id).where(Run.journal == name, _numbered(name), Run.ended_at.is_not(None)))
    )


def _is_known(name: str) -> bool:
    return bool(db.session.scalar(select(Run.id).where(Run.journal == name, _numbered(name))))


def _numbered(name: str) -> ColumnElement[bool]:
    """Found by the number at its beginning."""
    number = name.partition("-")[0].removesuffix(".journal")
    return Run.id == int(number) if number.isdecimal() else false()


def _counted() -> dict[str, int]:
    """Numbers that only grow: no run and no seal is ever deleted."""
    highest = select(
        select(func.max(Run.id)).scalar_subquery().label("runs"),
        select(func.max(ConsentSeal.seq)).scalar_subquery().label("seals"),
    )
    found = db.session.execute(highest).one()
    return {"runs": found.runs or 0, "seals": found.seals or 0}


def _seen() -> dict[str, int]:
    with suppress(FileNotFoundError, ValueError):
        return {str(name): int(number) for name, number in json.loads(_file().read_text(encoding="ascii")).items()}
    return {}


def _seen_at() -> datetime | None:
    """When this machine last saw that the database had forgotten nothing."""
    at = _seen().get("at")
    return datetime.fromtimestamp(at, UTC) if at else None


def _file() -> Path:
    return _folder() / "seen.json"


def _folder() -> Path:
    folder: Path = current_app.extensions["settings"].journals
    return folder
