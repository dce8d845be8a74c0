"""The clock seals consent records itself, once a second: as a job it would cost a fork each time."""

import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from preference_center.consent.chain import seal
from preference_center.db import db, transaction
from worker import context

log = structlog.get_logger()
_AT_A_TIME = 2.0  # seconds; a backlog must not keep the clock from ringing


def round_of_sealing() -> bool:
    """Seal what waits, for some seconds at most. False when the database did not answer."""
    end = time.monotonic() + _AT_A_TIME
    try:
        with context.load().app_context():
            while seal.waiting() and time.monotonic() < end:
                with transaction():
                    if not seal.seal():
                        break  # another sealer is at work
            db.session.remove()
    except SQLAlchemyError as trouble:
        log.warning("clock.unsealed", trouble=type(trouble).__name__)
        return False
    return True
