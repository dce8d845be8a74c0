"""A file becomes contacts: what is kept, what is refused and why, and that a crash, a second run and a cancel lose nothing."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.config import Settings
from preference_center.consent import projection
from preference_center.consent.declaring import declared
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import attributes, imports, queries
from preference_center.contacts.models import Attribute, AttributeKind, Contact, Import, ImportState
from preference_center.db import db, transaction
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from tests.contacts import files
from tests.support import make
from worker import context
from worker.jobs import contacts as jobs

pytestmark = pytest.mark.both_databases
MANY = "email,first_name\n" + "".join(f"a{number}@example.org,N{number}\n" for number in range(2500))
TERMS = {"basis": "consent", "topics": ["news"], "consented_on": "2024-05-31"}


def _contact(email: str) -> Contact:
    found = queries.by_email(email)
    assert found is not None
    return found


def _sums(import_: Import) -> None:
    figures = import_.figures
    parts = ("new", "updated", "unchanged", "duplicate", "refused")
    assert figures["rows"] == sum(figures[part] for part in parts) == import_.rows_read
    assert figures["refused"] == sum(figures["refused_because"].values())
    for outcomes in figures["consent"].values():
        assert sum(outcomes.values()) == figures["rows"]


def test_people_are_stored_with_what_was_mapped_and_nothing_else(app: Flask) -> None:
    import_ = files.imported(
        "email,first_name,language,country,time_zone,points,secret\n"
        "Anna@Example.org,Anna,Polish,Polska,Europe/Warsaw,17,cat\n",
        mapping={"points": "points"},
    )
    contact = _contact("anna@example.org")
    assert contact.email == "Anna@example.org"
    assert (contact.language, contact.time_zone) == ("pl", "Europe/Warsaw")
    assert (contact.jurisdiction, contact.jurisdiction_source) == ("PL", "import")
    assert contact.source == f"import:{import_.public_id}"
    assert contact.attributes == {"first_name": "Anna", "points": 17}
    assert import_.declared["ignored"] == ["secret"]
    assert attributes.declared()["points"].kind is AttributeKind.number
    assert import_.state is ImportState.done
    assert import_.bytes_read == import_.bytes_total
    _sums(import_)


def test_wrong_rows_are_named_by_line_and_stop_nothing(app: Flask) -> None:
    import_ = files.imported(
        "email,first_name,born,country\n"
        "a@example.org,Anna,1990-02-03,PL\n"
        "not an address,Bo,1990-02-03,PL\n"
        "c@example.org,Cy,1990-02-30,Narnia\n"
        "d@example.org,too,many,columns,here\n"
        ",Ed,1990-02-03,PL\n"
        "f@example.org,\x01F\x7f,,\n",
        mapping={"born": "born"},
    )
    assert files.reasons(import_) == [(3, "email"), (4, "country"), (5, "row"), (6, "email")]
    assert import_.figures["refused_because"] == {"invalid_address": 2, "invalid_row": 1}
    assert _contact("f@example.org").attributes == {"first_name": "F"}
    assert not any("not an" in fault.reason for fault in imports.faults(import_))
    _sums(import_)


def test_a_value_of_the_wrong_kind_is_left_out_and_the_row_kept(app: Flask) -> None:
    with transaction():
        attributes.declare("born", "Born", "date")
    import_ = files.imported("email,born,country\nc@example.org,1990-02-30,Narnia\n", mapping={"born": "born"})
    assert files.reasons(import_) == [(2, "country"), (2, "born")]
    assert (_contact("c@example.org").attributes, _contact("c@example.org").jurisdiction) == ({}, None)
    assert not any("example" in fault.reason for fault in imports.faults(import_))


def test_the_same_address_twice_is_joined_and_said(app: Flask) -> None:
    import_ = files.imported("email,first_name,city\na@example.org,Anna,Bath\nA@EXAMPLE.org,Ann,\n")
    assert (import_.figures["new"], import_.figures["duplicate"]) == (1, 1)
    assert _contact("a@example.org").attributes == {"first_name": "Ann", "city": "Bath"}
    assert files.reasons(import_) == [(3, "email")]


@pytest.mark.parametrize(
    ("overwrite", "kept"), [(False, ("en", "Europe/London", "GB")), (True, ("pl", "Europe/Warsaw", "PL"))]
)
def test_an_existing_contact_keeps_what_they_may_have_chosen(
    app: Flask, overwrite: bool, kept: tuple[str, str, str]
) -> None:
    with transaction():
        make.contact(
            "a@example.org",
            language="en",
            time_zone="Europe/London",
            jurisdiction="GB",
            jurisdiction_source="form",
            attributes={"city": "Bath", "first_name": "Anna"},
        )
    import_ = files.imported(
        "email,language,time_zone,country,city,first_name\na@example.org,pl,Europe/Warsaw,PL,Leeds,\n",
        overwrite=overwrite,
    )
    contact = _contact("a@example.org")
    assert (contact.language, contact.time_zone, contact.jurisdiction) == kept
    assert contact.attributes == {"city": "Leeds", "first_name": "Anna"}  # empty erases nothing
    assert import_.figures["updated"] == 1
    again = files.imported("email,city\na@example.org,Leeds\n")
    assert again.figures["unchanged"] == 1


def test_somebody_who_was_erased_or_restricted_is_not_stored(app: Flask) -> None:  # C5
    with transaction():
        gone = make.contact("gone@example.org")
        assert gone.address_hash
        register.suppress(gone.address_hash, Cause.erased, "test")
        gone.address_hash = gone.email = None
        gone.erased_at = clock.now()
        make.contact("held@example.org", restricted_at=clock.now())
    import_ = files.imported("email,first_name\ngone@example.org,G\nheld@example.org,H\nheld@example.org,H\n")
    assert import_.figures["refused_because"] == {"erased": 1, "restricted": 2}
    assert queries.by_email("gone@example.org") is None
    assert _contact("held@example.org").attributes == {}
    _sums(import_)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_that_died_goes_on_and_ends_the_same(app: Flask, steps: int) -> None:
    with transaction():
        make.topic()
    content = MANY + "a1@example.org,Again\nnot an address,x\na2400@example.org,Again\n"
    import_ = files.run(files.brought(content, **TERMS), most_steps=steps)
    assert import_.state is ImportState.running
    files.run(import_)
    assert import_.state is ImportState.done
    assert import_.figures["consent"]["news"] == {"given": 2500, "kept": 2, "row_refused": 1}
    assert (import_.figures["new"], import_.figures["duplicate"], import_.figures["refused"]) == (2500, 2, 1)
    assert db.session.scalar(select(func.count()).select_from(Contact)) == 2500
    assert db.session.scalar(select(func.count()).select_from(ConsentRecord)) == 2500
    assert len(files.reasons(import_)) == 3
    _sums(import_)
    assert not list(projection.differences())


def test_a_batch_whose_transaction_failed_is_not_half_stored(app: Flask) -> None:
    import_ = files.brought(MANY)
    steps = declared.steps(import_.id)
    with transaction():
        next(steps)()
    with pytest.raises(RuntimeError), transaction():
        next(steps)()
        raise RuntimeError
    db.session.expire_all()
    assert (import_.rows_read, import_.figures) == (0, {})
    assert db.session.scalar(select(func.count()).select_from(Contact)) == 0
    files.run(import_)
    assert import_.figures["new"] == 2500


def test_two_workers_at_one_file_store_each_batch_once(app: Flask) -> None:
    import_ = files.brought(MANY)
    one, two = declared.steps(import_.id), declared.steps(import_.id)
    for steps in (one, two, one, two):
        with transaction():
            step = next(steps, None)
            if step:
                step()
    files.run(import_)
    assert import_.figures["new"] == 2500
    assert import_.figures["duplicate"] == 0
    _sums(import_)


def test_cancelling_stops_after_the_batch_being_stored(app: Flask) -> None:
    import_ = files.run(files.brought(MANY), most_steps=2)
    with transaction():
        imports.cancel(import_)
    files.run(import_)
    assert (import_.state, import_.rows_read) == (ImportState.cancelled, 1000)
    with pytest.raises(Conflict), transaction():
        imports.cancel(import_)


def test_a_dry_run_writes_only_figures_and_faults_and_says_what_would_happen(app: Flask) -> None:
    with transaction():
        make.topic()
    content = (
        "email,points,status\n"
        + "".join(f"a{number}@example.org,{number},yes\n" for number in range(1200))
        + "a1@example.org,7,no\na1@example.org,7,yes\nx,1,yes\na2@example.org,1,spam\na2@example.org,1,yes\n"
    )
    terms: dict[str, Any] = TERMS | {"mapping": {"points": "points"}, "wording": "Yes."}
    import_ = files.imported(content, **terms, dry_run=True)
    foretold, faults = import_.figures, files.reasons(import_)
    for table in (Contact, ConsentRecord, Attribute):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0
    with transaction():
        declared.declare(import_, source="shop", **terms)
    assert import_.figures == {}
    files.run(import_)
    assert (import_.figures, files.reasons(import_)) == (foretold, faults)
    assert import_.figures["consent"]["news"]["refused_because_no"] == 2  # after "no", and after "spam"
    with pytest.raises(Conflict), transaction():
        declared.declare(import_, source="shop", **terms)


def test_a_refused_file_leaves_nothing_behind(app: Flask, settings: Settings) -> None:
    for content, limit in ((b"%PDF-1.7", 1000), (MANY.encode(), 1000)):
        with pytest.raises(Invalid), transaction():
            imports.receive(io.BytesIO(content), "people.csv", "cli", limit)
    with pytest.raises(Invalid, match="more than 2,000 rows"), transaction():
        imports.receive(io.BytesIO(MANY.encode()), "people.csv", "cli", max_rows=2000)
    assert list((settings.data_dir / "uploads").iterdir()) == []
    assert db.session.scalar(select(func.count()).select_from(Import)) == 0


def test_the_file_is_kept_for_its_owner_alone_under_a_name_of_ours(app: Flask, settings: Settings) -> None:
    import_ = files.received(MANY, name="..\\../etc/pa\x00sswd.csv")
    file = imports.path(import_)
    assert file.parent == settings.data_dir / "uploads"
    assert "passwd" not in file.name
    assert file.stat().st_mode & 0o777 == 0o600
    assert import_.file_name == "pa sswd.csv"
    assert len(import_.file_sha256) == 64


def test_a_guess_shows_columns_and_first_rows(app: Flask) -> None:
    guess = imports.guess(files.received("Adres e-mail;Imię;Inne\nanna@example.org;Łucja;x\n"))
    assert guess.mapping == {"email": "Adres e-mail", "first_name": "Imię"}
    assert (guess.ignored, guess.delimiter, guess.sample_rows) == (["Inne"], ";", [["anna@example.org", "Łucja", "x"]])


def test_files_are_deleted_after_a_day_and_the_import_stays(app: Flask) -> None:
    import_ = files.imported(MANY)
    file = imports.path(import_)
    with transaction():
        assert imports.tidy() == 0
    with time_machine.travel(clock.now() + timedelta(hours=25)), transaction():
        assert imports.tidy() == 1
    assert not file.exists()
    assert (import_.stored_as, import_.file_name) == (None, "people.csv")
    with pytest.raises(NotFound):
        imports.path(import_)


def test_a_file_that_vanished_ends_the_import_with_a_plain_reason(app: Flask) -> None:
    import_ = files.run(files.brought(MANY), most_steps=2)
    Path(imports.path(import_)).unlink()
    files.run(import_)
    assert import_.state is ImportState.failed
    assert import_.trouble is not None
    assert "Upload it again" in import_.trouble


def test_the_job_runs_a_file_and_the_sweep_finds_one_nobody_rang_for(app: Flask, bell: Any) -> None:
    context.load(app)
    import_ = files.brought(MANY)
    waiting = files.received(MANY)
    jobs.tidy_imports()
    assert bell.rung == []
    with time_machine.travel(clock.now() + timedelta(minutes=6)):
        jobs.tidy_imports()
    assert bell.rung == [("worker.jobs.contacts.import_file", (import_.id,))]
    jobs.import_file(import_.id)
    jobs.import_file(waiting.id)
    db.session.rollback()
    assert (import_.state, waiting.state) == (ImportState.done, ImportState.uploaded)
