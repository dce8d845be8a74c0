"""Importing files of contacts, and tidying after it."""

from preference_center import jobs
from preference_center.consent.declaring import declared
from preference_center.contacts import imports
from preference_center.db import transaction
from worker.context import job, stopping


@job
def import_file(import_id: int) -> None:
    for step in declared.steps(import_id):
        with transaction():
            step()
        if stopping():
            return


@job
def tidy_imports() -> None:
    with transaction():
        imports.tidy()
        for import_id in imports.unfinished():
            jobs.later(jobs.IMPORT_FILE, import_id)
