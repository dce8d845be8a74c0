"""A file of contacts on its way in: received, looked at, described, read in batches, cancelled, tidied away.

What a row says about consent is carried along as its claim; the room `consent` alone decides what becomes of it
(`consent/declaring/declared.py`), in the same transaction that stores the row.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakKeyDictionary

from flask import current_app
from sqlalchemy import delete, or_, select, update

from preference_center import clock
from preference_center.contacts import attributes, cells, mapping, reading
from preference_center.contacts.models import AttributeKind, Import, ImportFault, ImportState
from preference_center.contacts.reading import Shape
from preference_center.db import after_commit, db, transaction
from preference_center.errors import Conflict, Invalid, NotFound

PAGE_LIMIT = 20 * 1024 * 1024
CLI_LIMIT = 200 * 1024 * 1024
KEPT_FOR = timedelta(hours=24)
TRIES = 5
_STUCK = (
    "The work on this file died five times behind row {rows}, perhaps for want of memory (PREFERENCE_CENTER_JOB_MEMORY). "
    "Look at the logs of the workers, then go on, or divide the file."
)


@dataclass(frozen=True)
class Guess:
    """What a file seems to hold, for a person to look at before anything is stored."""

    columns: tuple[str, ...]
    mapping: dict[str, str]  # field to column
    ignored: list[str]  # columns nobody mapped
    repeated: list[str]  # names the file gives to more than one column
    encoding: str
    delimiter: str
    sample_rows: list[list[str]]


@dataclass
class Description:
    """What was agreed about a file's form; kept in `Import.declared`."""

    mapping: dict[str, str]
    ignored: list[str]
    encoding: str
    delimiter: str
    columns: list[str]
    attributes: dict[str, dict[str, str]]  # key to name and kind
    day_first: dict[str, bool] = field(default_factory=dict)  # by field
    overwrite: bool = False

    @property
    def shape(self) -> Shape:
        return Shape(self.encoding, self.delimiter, tuple(self.columns))


def receive(
    stream: BinaryIO, file_name: str, actor: str, max_bytes: int = PAGE_LIMIT, max_rows: int = reading.MAX_ROWS
) -> Import:
    """Keep the file under DATA_DIR, out of the site's reach, under a random name. Invalid, and nothing kept, when it is no CSV."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stored_as = f"{secrets.token_hex(16)}.csv"
    try:
        size, lines, digest = _copy(stream, folder / stored_as, max_bytes)
        shape = reading.shape_of(folder / stored_as)
        if lines > max_rows and reading.count(folder / stored_as, shape, max_rows) > max_rows:
            raise Invalid(f"The file has more than {max_rows:,} rows. Divide it and import the parts.")
    except BaseException:
        (folder / stored_as).unlink(missing_ok=True)
        raise
    now = clock.now()
    import_ = Import(
        file_name=(cells.clean(Path(file_name.replace("\\", "/")).name) or "file.csv")[-200:],
        file_sha256=digest,
        stored_as=stored_as,
        bytes_total=size,
        created_by=actor,
        created_at=now,
        moved_at=now,
    )
    db.session.add(import_)
    db.session.flush()
    return import_


def guess(import_: Import, encoding: str | None = None) -> Guess:
    """What the columns seem to be, with the first rows, for the page and `--dry-run`."""
    shape = reading.shape_of(path(import_), encoding)
    found = mapping.guess(shape.columns, _attribute_names())
    rows = (row.cells for row in reading.rows(path(import_), shape) if not row.fault)
    sample = [[cells.clean(cell) or "" for cell in row] for row, _ in zip(rows, range(5), strict=False)]
    ignored = [column for column in shape.columns if column not in found.values()]
    return Guess(shape.columns, found, ignored, list(shape.repeated), shape.encoding, shape.delimiter, sample)


def describe(
    import_: Import, explicit: Mapping[str, str], encoding: str | None = None, *, overwrite: bool = False
) -> Description:
    """Settle what the columns hold: whose kinds are new, and which way round days are written. Reads the file once."""
    shape = reading.shape_of(path(import_), encoding)
    agreed = mapping.agreed(shape.columns, explicit, _attribute_names())
    known = attributes.declared()
    fields = mapping.attribute_fields(agreed)
    moments = agreed.get("consented_at")
    seen = _look_through(path(import_), shape, [*fields.values(), *filter(None, [moments])], moments)
    description = Description(
        mapping=agreed,
        ignored=[column for column in shape.columns if column not in agreed.values()],
        encoding=shape.encoding,
        delimiter=shape.delimiter,
        columns=list(shape.columns),
        attributes={},
        overwrite=overwrite,
    )
    faults = {}
    for key, column in fields.items():
        kind = known[key].kind if key in known else seen[column].kind
        name = known[key].name if key in known else mapping.SAFE_ATTRIBUTES.get(key, key.replace("_", " ").capitalize())
        description.attributes[key] = {"name": name, "kind": kind}
    dates = [key for key, kept in description.attributes.items() if kept["kind"] == AttributeKind.date]
    for key in [*dates, *(["consented_at"] if "consented_at" in agreed else [])]:
        day_first = seen[agreed[key]].day_first
        if day_first is None:
            faults[key] = (
                f"{agreed[key]}: some days are written day/month and others month/day. Export them such as 2024-05-31."
            )
        else:
            description.day_first[key] = day_first
    if faults:
        raise Invalid(" ".join(faults.values()), faults)
    return description


def agree(import_: Import, description: Description, terms: Mapping[str, Any], *, dry_run: bool) -> None:
    """The file may now be run on these terms; after a dry run, or a run that stored nothing, once more on others."""
    untouched = import_.state is ImportState.uploaded or import_.dry_run or not import_.rows_read
    if import_.state is ImportState.running or not untouched:
        raise Conflict("This file is being imported, or was imported already. Upload it again to import it again.")
    path(import_)
    import_.declared = asdict(description) | dict(terms)
    import_.dry_run = dry_run
    import_.state = ImportState.uploaded
    import_.trouble = import_.finished_at = None
    import_.moved_at = clock.now()
    _start_over(import_)


def begin(import_id: int) -> Import | None:
    """Take the file up, for the first time or where it stopped. Nothing when it is over or was not declared yet."""
    import_ = db.session.get(Import, import_id, with_for_update=True, populate_existing=True)
    if import_ is None or not import_.declared or import_.state not in (ImportState.uploaded, ImportState.running):
        return None
    import_.state = ImportState.running
    import_.moved_at = clock.now()
    if _begun_in_vain(import_) >= TRIES:
        finish(import_.id, _STUCK.format(rows=import_.rows_read))
        return None
    if import_.dry_run:
        _start_over(import_)  # it stored nothing, and what it remembered is gone
    else:
        for key, kept in import_.declared["attributes"].items():
            attributes.declare(key, kept["name"], kept["kind"])
    db.session.flush()
    return import_


def _begun_in_vain(import_: Import) -> int:
    """How often it was taken up at this very row before; this time is counted too."""
    row, times = import_.declared.get("begun", (0, 0))
    times = times if row == import_.rows_read else 0
    import_.declared = import_.declared | {"begun": (import_.rows_read, times + 1)}
    db.session.flush()
    return int(times)


def resume(import_: Import) -> None:
    """Go on with a file that was given up, where it stopped. The door rings for it."""
    path(import_)
    if import_.state is not ImportState.failed or not import_.declared:
        raise Conflict("This import was not given up, or never agreed on. Upload the file again.")
    import_.declared = {name: said for name, said in import_.declared.items() if name != "begun"}
    import_.state, import_.trouble, import_.finished_at = ImportState.uploaded, None, None
    import_.moved_at = clock.now()
    db.session.flush()


def claim(import_id: int, rows_before: int, rows_after: int, bytes_read: int) -> bool:
    """This batch is ours: nobody else stored it, and nobody cancelled. The rows follow in the same transaction."""
    now = clock.now()
    taken = db.session.execute(
        update(Import)
        .where(Import.id == import_id, Import.state == ImportState.running, Import.rows_read == rows_before)
        .values(rows_read=rows_after, bytes_read=bytes_read, moved_at=now)
        .returning(Import.id)
    )
    return taken.scalar() is not None


def finish(import_id: int, trouble: str = "") -> None:
    """The file is through, or cannot be gone on with for the reason given."""
    now = clock.now()
    db.session.execute(
        update(Import)
        .where(Import.id == import_id, Import.state == ImportState.running)
        .values(
            state=ImportState.failed if trouble else ImportState.done,
            trouble=trouble[:500] or None,
            finished_at=now,
            moved_at=now,
            bytes_read=Import.bytes_read if trouble else Import.bytes_total,
        )
    )


def cancel(import_: Import) -> None:
    """Stop after the batch being stored. What is stored stays."""
    stopped = db.session.execute(
        update(Import)
        .where(Import.id == import_.id, Import.state.in_([ImportState.uploaded, ImportState.running]))
        .values(state=ImportState.cancelled, finished_at=clock.now(), moved_at=clock.now())
        .returning(Import.id)
    )
    if stopped.scalar() is None:
        raise Conflict("This import is over already.")
    db.session.refresh(import_)


def path(import_: Import) -> Path:
    file = _folder() / import_.stored_as if import_.stored_as else None
    if file is None or not file.exists():
        raise NotFound(
            "The file is no longer here: files are kept for a day, on the machine that took them. Upload it again."
        )
    return file


def by_public_id(public_id: str) -> Import:
    import_ = db.session.scalar(select(Import).where(Import.public_id == public_id))
    if import_ is None:
        raise NotFound("There is no such import.")
    return import_


def recent(limit: int = 20) -> list[Import]:
    return list(db.session.scalars(select(Import).order_by(Import.id.desc()).limit(limit)))


def faults(import_: Import, limit: int | None = None) -> Iterator[ImportFault]:
    """What was wrong, by line, streamed."""
    statement = (
        select(ImportFault).where(ImportFault.import_id == import_.id).order_by(ImportFault.line, ImportFault.id)
    )
    yield from db.session.scalars(statement.limit(limit).execution_options(yield_per=1000))


def unfinished(idle: timedelta = timedelta(minutes=5)) -> list[int]:
    """Declared files that nobody works on: the bell was not heard, or the worker died."""
    waiting = select(Import.id, Import.declared).where(
        Import.state.in_([ImportState.uploaded, ImportState.running]), Import.moved_at < clock.now() - idle
    )
    return [row.id for row in db.session.execute(waiting) if row.declared]


def given_up() -> list[Import]:
    """Those at which workers died, as long as their file is here."""
    died = (Import.state == ImportState.failed, Import.trouble.like(_STUCK.partition("{")[0] + "%"))
    return list(db.session.scalars(select(Import).where(*died, Import.stored_as.is_not(None)).order_by(Import.id)))


def tidy() -> int:
    """Delete files after a day, and those no import knows. The import keeps the file's name and digest as evidence."""
    old = clock.now() - KEPT_FOR
    over = or_(Import.state != ImportState.running, Import.moved_at < old)
    db.session.execute(
        update(Import).where(Import.stored_as.is_not(None), Import.moved_at < old, over).values(stored_as=None)
    )
    kept = set(db.session.scalars(select(Import.stored_as).where(Import.stored_as.is_not(None))))
    gone = 0
    for file in _folder().glob("*.csv"):
        if file.name not in kept and file.stat().st_mtime < old.timestamp():
            file.unlink(missing_ok=True)
            gone += 1
    return gone


def forget(email: str) -> None:
    """Delete the uploaded files that hold this address, once that is committed; one that is being read goes within a day.

    They are long: nobody may wait for the one writer meanwhile, so each is read after the commit, once for all who were forgotten in it.
    """
    db.session.connection()  # else there may be no transaction yet
    together = _forgotten.setdefault(db.session().get_transaction(), set())
    if not together:
        after_commit(partial(_delete_with, together))
    together.add(email.lower())


_forgotten: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()  # by transaction


def _delete_with(addresses: set[str]) -> None:
    found = {file.name: file for file in _folder().glob("*.csv") if _holds(file, addresses)}
    if not found:
        return
    with transaction():
        theirs = list(db.session.scalars(select(Import).where(Import.stored_as.in_(found)).with_for_update()))
        for import_ in theirs:
            if import_.state is ImportState.running:
                found.pop(str(import_.stored_as))
            else:
                import_.stored_as = None
    for file in found.values():
        file.unlink(missing_ok=True)


def _holds(file: Path, addresses: set[str]) -> bool:
    """One of them, in whatever case; read in pieces that overlap, so that none is cut in two."""
    plain, *wide = ([one.encode(way) for one in addresses] for way in ("utf-8", "utf-16-le", "utf-16-be"))
    overlap, before = 2 * max(map(len, plain)), b""
    with suppress(FileNotFoundError), file.open("rb") as content:  # another has deleted it
        while piece := content.read(1 << 20):
            text = (before + piece).lower()
            ways = [plain, *wide] if b"\0" in text else [plain]  # UTF-16 has nulls
            if any(spelling in text for spellings in ways for spelling in spellings):
                return True
            before = text[-overlap:]
    return False


def _folder() -> Path:
    folder: Path = current_app.extensions["settings"].data_dir
    return folder / "uploads"


def _copy(stream: BinaryIO, target: Path, max_bytes: int) -> tuple[int, int, str]:
    """The file's size, the most lines it can have, and its digest."""
    digest, size, lines = hashlib.sha256(), 0, 1
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while chunk := stream.read(1 << 20):
            size += len(chunk)
            if size > max_bytes:
                raise Invalid(
                    f"The file is larger than {max_bytes // 1024 // 1024} MB. Divide it and import the parts."
                )
            lines += chunk.count(b"\n") + chunk.count(b"\r") - chunk.count(b"\r\n")
            digest.update(chunk)
            out.write(chunk)
    return size, lines, digest.hexdigest()


def _start_over(import_: Import) -> None:
    import_.rows_read = import_.bytes_read = 0
    import_.figures = {}
    db.session.execute(delete(ImportFault).where(ImportFault.import_id == import_.id))


def _attribute_names() -> dict[str, str]:
    return mapping.SAFE_ATTRIBUTES | {key: attribute.name for key, attribute in attributes.declared().items()}


def _look_through(file: Path, shape: Shape, wanted: list[str], moments: str | None) -> dict[str, cells.Column]:
    places = {shape.columns.index(column): column for column in wanted}
    seen = {column: cells.Column() for column in wanted}
    if moments:
        seen[moments] = cells.Column(())  # of a column of moments only the order of day and month is asked
    if places:
        for row in reading.rows(file, shape):
            for place, column in places.items() if not row.fault else ():
                text = cells.clean(row.cells[place])
                if text:
                    seen[column].add(text)
    return seen
