"""Watches whether a campaign still sends, so that this can be asked before each message at the price of a glance.

PostgreSQL tells: whoever changes a campaign's state notifies with the commit, and the watcher's own connection has heard of it a
moment later. Where notifications do not come through (a pooler between us) the state is read every 20 ms, as it is read now and
then in any case. SQLite is in this process, so the state is simply read.
"""

import time
from functools import partial
from typing import Any

import structlog
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapper, attributes

from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, is_postgresql

log = structlog.get_logger()

CHANNEL = "preference_center_campaigns"
LOOK_SECONDS = 0.02  # how often the state is read when nobody tells
TOLD_SECONDS = 0.5  # and when changes are told: a change past our own verbs is still seen
GLANCE_SECONDS = 0.001  # what is told takes about so long to arrive, so it is not listened for more often

# Seconds, those counted in which the machine slept: Linux leaves them out of time.monotonic(), and what was judged before is old.
uptime = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lookout:
    """For one campaign and one run. look() before the first message of a chunk, then ask sees_sending() before each message."""

    def __init__(self, campaign_id: int) -> None:
        self._campaign_id = campaign_id
        self._sending = True
        self._looked_at = 0.0
        self._interval = LOOK_SECONDS
        self._glanced_at = 0.0
        self._connection: Any = None  # the driver's own; open from the first look on

    def look(self) -> bool:
        """Read the state now. Without an answer nothing more may start."""
        self._looked_at = uptime()
        try:
            if self._connection is None:
                self._open()
            self._sending = self._state() == CampaignState.sending
        except db.engine.dialect.dbapi.Error:  # type: ignore[union-attr]
            log.warning("database.silent", campaign=self._campaign_id)
            self._sending = False
            self.close()
        return self._sending

    def sees_sending(self) -> bool:
        """Whether the campaign sends, as far as this process can know without asking the database each time."""
        now = uptime()
        if self._connection is None or now - self._looked_at > self._interval:
            return self.look()
        if now - self._glanced_at > GLANCE_SECONDS:
            self._glanced_at = now
            if self._is_told():
                return self.look()
        return self._sending

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        pooled = db.engine.raw_connection()
        own: Any = pooled.driver_connection
        pooled.detach()  # the pool forgets it
        self._connection = own
        if not is_postgresql():
            self._interval = -1.0  # each time: it costs some microseconds
            return
        own.rollback()
        own.autocommit = True
        own.execute(f"LISTEN {CHANNEL}")
        own.execute("SELECT pg_notify(%s, '0')", (CHANNEL,))  # to ourselves: does it come through?
        self._interval = TOLD_SECONDS if any(own.notifies(timeout=0.2, stop_after=1)) else LOOK_SECONDS

    def _state(self) -> str | None:
        mark = "%s" if is_postgresql() else "?"
        asked = self._connection.execute(f"SELECT state FROM campaigns WHERE id = {mark}", (self._campaign_id,))  # noqa: S608
        rows = asked.fetchall()
        return rows[0][0] if rows else None

    def _is_told(self) -> bool:
        if self._interval < TOLD_SECONDS:
            return False
        told, own = False, self._connection.pgconn
        try:
            own.consume_input()
            while notice := own.notifies():
                told = told or notice.extra == str(self._campaign_id).encode()
        except db.engine.dialect.dbapi.Error:  # type: ignore[union-attr]
            return True  # look() will find out
        return told


@event.listens_for(Campaign, "after_update")
def _tell(_mapper: Mapper[Campaign], connection: Connection, campaign: Campaign) -> None:
    """With the commit of a pause or cancel, and of any other change of state."""
    if connection.dialect.name == "postgresql" and attributes.get_history(campaign, "state").has_changes():
        connection.execute(text("SELECT pg_notify(:channel, :id)"), {"channel": CHANNEL, "id": str(campaign.id)})
