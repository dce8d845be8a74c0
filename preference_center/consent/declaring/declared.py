"""Consent that an owner declares with a file: on what terms, and the run that stores contacts and consent together.

An import is weaker than a person. It never turns a "no" into a "yes", never lifts a suppression, makes no consent without topic,
legal basis, source and a date (GDPR 7(1), 7(3); the checks are in `bulk.py`), and none to tracking, which is asked anew each time.
The door runs it, a transaction a step:

    for step in declared.steps(import_id):
        with transaction():
            progress = step()
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select

from preference_center import clock
from preference_center.accounts import audit
from preference_center.consent import tracking
from preference_center.consent.declaring import bulk
from preference_center.consent.declaring.bulk import Memory, Terms
from preference_center.consent.law import bases
from preference_center.contacts import cells, imports, mapping, storing
from preference_center.contacts.imports import Description
from preference_center.contacts.models import Import, ImportState
from preference_center.contacts.storing import Batch
from preference_center.db import db
from preference_center.errors import Conflict, DomainError, Invalid, NotFound
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis


@dataclass(frozen=True)
class Progress:
    """How far an import is, after a step."""

    state: ImportState
    rows: int
    bytes_read: int
    bytes_total: int
    figures: dict[str, Any]


def declare(
    import_: Import,
    *,
    source: str,
    mapping: Mapping[str, str] | None = None,
    basis: LegalBasis | str | None = None,
    topics: Sequence[str] = (),
    wording: str = "",
    wording_language: str = "en",
    consented_on: date | str | None = None,
    soft_opt_in: bool = False,
    encoding: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    seen: Description | Invalid | None = None,
) -> Import:
    """Settle the terms of a received file. Invalid names all faults at once, by field.

    `mapping` is field to column and overrules the guess. `consented_on` is for rows without a date of their own. `soft_opt_in`
    affirms, for existing customers, that the address was got at a sale, the mail is about similar products of one's own, and
    refusal was offered then and since (ePrivacy 13(2)). `overwrite` lets the file change languages, zones and countries.
    `seen` is what look() found with the same mapping, encoding and overwrite.
    """
    faults: dict[str, str] = {}
    found = _topics(topics, faults)
    chosen = _basis(basis, found, source, soft_opt_in, faults)
    on = _day(consented_on, faults)
    if not source.strip():
        faults["source"] = "Say where these people come from, such as: shop checkout, 2019 to 2024."
    elif len(source) > 200:
        faults["source"] = "Use 200 characters at most."
    if wording and not found:
        faults["wording"] = "A text belongs to a topic; choose the topic too."
    seen = seen or look(import_, mapping, encoding, overwrite=overwrite)
    if isinstance(seen, Invalid):
        faults |= seen.faults or {"file": seen.message}
    if faults or isinstance(seen, Invalid):
        raise Invalid("The import was not started. " + " ".join(faults.values()), faults)
    terms = {
        "source": source.strip(),
        "basis": chosen,
        "topics": [topic.key for topic in found],
        "wording": wording.strip(),
        "wording_language": wording_language,
        "consented_on": on.isoformat() if on else None,
        "soft_opt_in": soft_opt_in,
    }
    imports.agree(import_, seen, terms, dry_run=dry_run)
    audit.note(
        import_.created_by, "import.declared", "import", import_.public_id, dry_run=dry_run, topics=terms["topics"]
    )
    return import_


def look(
    import_: Import, mapping: Mapping[str, str] | None = None, encoding: str | None = None, *, overwrite: bool = False
) -> Description | Invalid:
    """What the file holds, or what is wrong with it. It reads the whole file, which takes its time: do it before `transaction()`,
    since on SQLite nobody else could write meanwhile, and an unsubscribe waits ten seconds at most.
    """
    try:
        return imports.describe(import_, mapping or {}, encoding, overwrite=overwrite)
    except Invalid as fault:
        return fault


def steps(import_id: int) -> Iterator[Callable[[], Progress]]:
    """The work on one declared file, as steps that each want a transaction. Run again after a crash, it goes on where it stopped."""
    run = _Run(import_id)
    yield run.begin
    if run.over:
        return
    try:
        for batch in storing.batches(run.import_):
            yield partial(run.keep, batch)
            if run.over:
                return
    except (OSError, DomainError) as fault:
        trouble = fault.message if isinstance(fault, DomainError) else f"The file cannot be read: {fault.strerror}."
        yield partial(run.finish, trouble)
        return
    yield run.finish


class _Run:
    """One go at a file. What it learns lives in the database, but for a dry run's memory of what it did not store."""

    def __init__(self, import_id: int) -> None:
        self.import_id = import_id
        self.over = False
        self.memory: Memory | None = None
        self.terms: Terms

    @property
    def import_(self) -> Import:
        found = db.session.get(Import, self.import_id)
        if found is None:
            raise NotFound("There is no such import.")
        return found

    def begin(self) -> Progress:
        taken = imports.begin(self.import_id)
        if taken is None:
            self.over = True
            return self._progress()
        try:
            self.terms = _terms(taken)
        except DomainError as fault:
            self.over = True
            imports.finish(self.import_id, fault.message)
            return self._progress()
        self.memory = Memory() if taken.dry_run else None
        return self._progress()

    def keep(self, batch: Batch) -> Progress:
        if not imports.claim(self.import_id, batch.rows_before, batch.rows_after, batch.bytes_read):
            self.over = True  # cancelled, or somebody else is at it
            return self._progress()
        import_ = self.import_
        if import_.dry_run:
            undo = db.session.begin_nested()
            stored, kept, faults = self._store(import_, batch)
            undo.rollback()
            storing.note_faults(import_, faults)
        else:
            stored, kept, faults = self._store(import_, batch)
            storing.note_faults(import_, faults)
        db.session.refresh(import_)
        import_.figures = _summed(import_.figures, stored, kept, len(batch.entries))
        db.session.flush()
        return self._progress()

    def finish(self, trouble: str = "") -> Progress:
        imports.finish(self.import_id, trouble)
        import_ = self.import_
        db.session.refresh(import_)
        audit.note(import_.created_by, "import.finished", "import", import_.public_id, rows=import_.rows_read)
        self.over = True
        return self._progress()

    def _store(self, import_: Import, batch: Batch) -> tuple[storing.Stored, bulk.Kept, list[tuple[int, str, str]]]:
        suppressed = register.standing(batch.hashes())
        erased = {hash_: "erased" for hash_, cause in suppressed.items() if cause is Cause.erased}
        stored = storing.store(import_, batch, erased)
        kept = bulk.record(self.terms, stored.people, suppressed, self.memory)
        return stored, kept, stored.faults + kept.faults

    def _progress(self) -> Progress:
        import_ = db.session.get(Import, self.import_id, populate_existing=True)
        if import_ is None:
            raise NotFound("There is no such import.")
        return Progress(
            import_.state, import_.rows_read, import_.bytes_read, import_.bytes_total, dict(import_.figures)
        )


def _summed(figures: dict[str, Any], stored: storing.Stored, kept: bulk.Kept, rows: int) -> dict[str, Any]:
    """The figures after one more batch."""
    refused = stored.figures["refused"]
    whole: dict[str, Any] = {"rows": figures.get("rows", 0) + rows}
    for name in ("new", "updated", "unchanged", "duplicate", "refused"):
        whole[name] = figures.get(name, 0) + stored.figures[name]
    whole["refused_because"] = _add(figures.get("refused_because", {}), stored.refused)
    whole["consent"] = {
        key: _add(figures.get("consent", {}).get(key, {}), outcomes + Counter({bulk.Outcome.row_refused: refused}))
        for key, outcomes in kept.outcomes.items()
    }
    whole["suppressed"] = _add(figures.get("suppressed", {}), kept.suppressions)
    return whole


def _add(figures: dict[str, int], more: Counter[str]) -> dict[str, int]:
    return {str(name): number for name, number in (Counter(figures) + more).items()}


def _terms(import_: Import) -> Terms:
    said = import_.declared
    faults: dict[str, str] = {}
    found = _topics(said["topics"], faults)
    if faults:
        raise Conflict(" ".join(faults.values()))
    wordings = {}
    if said["wording"] and not import_.dry_run:
        wordings = {t.id: bulk.wording(t, said["wording_language"], said["wording"]) for t in found}
    column = said["mapping"].get("status")
    return Terms(
        import_id=import_.id,
        ref=import_.public_id,
        actor=import_.created_by,
        topics=tuple((topic.id, topic.key, topic.purpose) for topic in found),
        valid_months={topic.id: topic.valid_months for topic in found},
        basis=LegalBasis(said["basis"]) if said["basis"] else None,
        consented_on=datetime.fromisoformat(said["consented_on"]) if said["consented_on"] else None,
        source=said["source"],
        wordings=wordings,
        language=said["wording_language"] if said["wording"] else None,
        day_first=said["day_first"].get("consented_at", True),
        says_no=bool(column) and mapping.says_no(column),
        soft_opt_in=said["soft_opt_in"],
    )


def _topics(keys: Sequence[str], faults: dict[str, str]) -> list[Topic]:
    wanted = list(dict.fromkeys(keys))
    found = {t.key: t for t in db.session.scalars(select(Topic).where(Topic.key.in_(wanted)))}
    wrong = [key for key in wanted if key not in found or found[key].retired_at]
    if wrong:
        live = ", ".join(topic.key for topic in declarable()) or "none yet"
        faults["topics"] = f"Not a topic in use: {', '.join(wrong)}. There are: {live}."
    elif any(topic.purpose_key == tracking.PURPOSE for topic in found.values()):
        faults["topics"] = "No file can agree to tracking: people are asked here, each time it is offered anew."
    return [found[key] for key in wanted if key in found]


def declarable() -> list[Topic]:
    """The topics that a file can agree to."""
    return [topic for topic in catalogue.live() if topic.purpose_key != tracking.PURPOSE]


def _basis(
    basis: LegalBasis | str | None, topics: list[Topic], source: str, soft_opt_in: bool, faults: dict[str, str]
) -> LegalBasis | None:
    if not topics and not basis:
        return None
    if basis not in list(LegalBasis):
        faults["basis"] = f"Say what allows the mail, one of: {', '.join(LegalBasis)}."
        return None
    chosen = LegalBasis(str(basis))
    for topic in topics:
        detail = bases.declared(chosen, source.strip(), affirmed=soft_opt_in)
        missing = bases.BASES[chosen].faults(topic.purpose, detail)
        if "basis" in missing:
            faults["basis"] = missing["basis"]
        elif missing and source.strip():
            faults["soft_opt_in"] = (
                "For existing customers, affirm that the address was got at a sale, the mail is about your own similar "
                "products, and people could refuse then and since."
            )
    if not topics and "topics" not in faults:
        faults["topics"] = "Say which topics the people agreed to."
    return chosen


def _day(said: date | str | None, faults: dict[str, str]) -> datetime | None:
    if not said:
        return None
    found = cells.moment(str(said).strip())
    if found is None:
        faults["consented_on"] = "Write the day like 2024-05-31."
        return None
    if not bulk.EARLIEST <= found.moment <= clock.now() + timedelta(hours=14):
        faults["consented_on"] = "The day must lie between 1995 and today."
    return min(found.moment, clock.now()).astimezone(UTC)
