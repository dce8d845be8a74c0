"""Whether a connection still lives is asked when it is lent after a rest, not each time: asking takes as long as a statement."""

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

REST = 0.2  # seconds, less than a server takes to restart; one that died within them fails as if it had died a moment later


def ask_the_rested(engine: Engine) -> None:
    """For databases at the other end of a wire. When one is dead, all that were made before it are replaced."""
    dialect: Any = engine.dialect

    @event.listens_for(engine, "checkin")
    def _rests(_driver: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _is_lent(driver: Any, record: Any, _lent: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) < REST:
            return
        try:
            dialect.do_ping(driver)
        except dialect.loaded_dbapi.Error:
            raise InvalidatePoolError from None
