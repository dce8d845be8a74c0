"""The daily checkpoint of the consent ledger."""

from flask import current_app

from preference_center.consent.chain import checkpoints, rows
from worker.context import job


@job
def checkpoint() -> None:
    with rows.snapshot() as connection:
        checkpoints.keep_daily(connection, current_app.extensions["settings"])
