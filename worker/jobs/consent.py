"""The consent ledger: its daily checkpoint, what has ended by itself, and who is asked in time to go on."""

from flask import current_app

from preference_center.consent import ledger
from preference_center.consent.chain import checkpoints, rows
from preference_center.preferences import renewal
from worker import restoring
from worker.context import job, repeat

STEP = 200


@job
def checkpoint() -> None:
    with rows.snapshot() as connection:
        checkpoints.keep_daily(connection, current_app.extensions["settings"])


@job
def expire() -> None:
    repeat(lambda limit: ledger.expire(limit) > 0, STEP)


@job
def ask_to_renew() -> None:
    if restoring.look() is not None:  # whom it has asked is forgotten
        return
    repeat(lambda limit: renewal.ask(limit) > 0, STEP)
