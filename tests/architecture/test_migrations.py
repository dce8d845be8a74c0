"""Migrations: they build what the models say, on SQLite and PostgreSQL, one after the other, and lose no row."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Boolean, MetaData, Table, inspect, select, text

from preference_center.app import create_app
from preference_center.consent import projection
from preference_center.consent.law.cadences import LastMail
from preference_center.consent.law.validity import RenewalLetter
from preference_center.consent.models import Standing, Subscription
from preference_center.db import Base, UTCDateTime, db
from tests.conftest import make_settings
from tests.support.bell import WrittenBell
from tests.support.databases import create_database
from tests.support.sources import ROOT

MIGRATIONS = ROOT / "preference_center" / "migrations"


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The app on a database without tables."""
    url = f"sqlite:///{tmp_path / 'bare.db'}" if request.param == "sqlite" else create_database("pc_migrations")
    app = create_app(make_settings(tmp_path, url), bell=WrittenBell())
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def differences() -> list[Any]:
    with db.engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def revision() -> str | None:
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def test_migrations_are_one_line_numbered_without_gaps() -> None:
    steps = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())[::-1]
    assert [step.revision for step in steps] == [f"{number:04}" for number in range(1, len(steps) + 1)] != []
    assert [step.down_revision for step in steps] == [None, *(step.revision for step in steps[:-1])]
    assert all(Path(step.path).name.startswith(f"{step.revision}_") for step in steps)


def test_migrations_build_what_the_models_say(bare: Flask) -> None:
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)
    assert differences() == []


def test_a_second_upgrade_changes_nothing(bare: Flask) -> None:
    flask_migrate.upgrade()
    before = revision()
    flask_migrate.upgrade()
    assert revision() == before is not None
    assert differences() == []


def test_the_last_step_can_be_taken_back_and_again(bare: Flask) -> None:
    flask_migrate.upgrade()
    head = revision()
    flask_migrate.downgrade()
    assert revision() != head
    flask_migrate.upgrade()
    assert revision() == head
    assert differences() == []


@pytest.fixture
def drafts(tmp_path: Path) -> str:
    """A migrations folder of our own, with the machinery and no steps."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("versions", "__pycache__"))
    (folder / "versions").mkdir()
    return str(folder)


def test_a_drafted_migration_is_numbered_and_builds_what_the_models_say(bare: Flask, drafts: str) -> None:
    flask_migrate.migrate(drafts, message="first")
    draft = Path(drafts) / "versions" / "0001_first.py"
    assert "UTCDateTime()" in draft.read_text()
    assert "sa.Enum(" not in draft.read_text(), "a new member of an enum must need no migration"
    flask_migrate.upgrade(drafts)
    assert differences() == []
    flask_migrate.migrate(drafts, message="nothing new")
    assert [file.name for file in draft.parent.glob("*.py")] == ["0001_first.py"]
    flask_migrate.downgrade(drafts)
    assert tables() == set()


PARENT_AND_CHILD = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("parents", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(10)))
    op.create_table("children", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.Integer, sa.ForeignKey("parents.id", ondelete="CASCADE", name="fk"), nullable=False))
    op.execute("INSERT INTO parents (id, name) VALUES (1, 'one')")
    op.execute("INSERT INTO children (id, parent_id) VALUES (1, 1)")
"""
WIDER = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    with op.batch_alter_table("parents") as batch:
        batch.alter_column("name", existing_type=sa.String(10), type_=sa.String(20), nullable=False)
"""
BROKEN = """
from alembic import op
revision, down_revision = "0003", "0002"
def upgrade():
    op.execute("DELETE FROM children")
    op.execute("SELECT * FROM nowhere")
"""


def draft(folder: str, **steps: str) -> None:
    for name, source in steps.items():
        (Path(folder) / "versions" / f"{name}.py").write_text(source)


def count(table: str) -> int:
    with db.engine.connect() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0


def test_altering_a_table_keeps_the_rows_that_point_at_it(bare: Flask, drafts: str) -> None:
    draft(drafts, a=PARENT_AND_CHILD, b=WIDER)
    flask_migrate.upgrade(drafts)
    assert (count("parents"), count("children")) == (1, 1)
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            assert connection.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_step_that_fails_leaves_nothing_behind(bare: Flask, drafts: str) -> None:
    draft(drafts, a=PARENT_AND_CHILD, b=WIDER)
    flask_migrate.upgrade(drafts)
    draft(drafts, c=BROKEN)
    with pytest.raises(Exception, match="nowhere"):
        flask_migrate.upgrade(drafts)
    db.engine.dispose()
    assert (revision(), count("children")) == ("0002", 1)


def test_the_basis_of_what_was_stopped_altogether_is_found_again(bare: Flask) -> None:
    """0003 writes beside each subscription what its records say, also where a stop of the whole purpose decided last."""
    flask_migrate.upgrade(revision="0002")
    at = "5" if db.engine.dialect.name == "sqlite" else "'2026-01-01Z'"
    no, yes = ("0", "1") if db.engine.dialect.name == "sqlite" else ("false", "true")
    record = (
        "INSERT INTO consent_records (id, public_id, contact_id, purpose_key, topic_id, channel, action, legal_basis, "
        "source, source_ref, actor, happened_at, recorded_at)"
    )
    with db.engine.begin() as connection:
        for statement in (
            f"INSERT INTO topics (id, key, purpose_key, position, public, cadence_choice, created_at) "
            f"VALUES (1, 'news', 'email_marketing', 1, {yes}, {no}, {at})",
            f"{record} VALUES (1, 'a', 1, 'email_marketing', 1, 'email', 'given', 'consent', "
            f"'form', '', 'person', {at}, {at})",
            f"{record} VALUES (2, 'b', 1, 'email_marketing', 1, 'email', 'weekly', NULL, "
            f"'form', '', 'person', {at}, {at})",
            f"{record} VALUES (3, 'c', 1, 'email_marketing', NULL, 'email', 'withdrawn', NULL, "
            f"'form', '', 'person', {at}, {at})",
            f"INSERT INTO subscriptions (contact_id, topic_id, state, record_id, changed_at, cadence) "
            f"VALUES (1, 1, 'withdrawn', 3, {at}, 'weekly')",
            f"INSERT INTO standings (contact_id, purpose_key, state, record_id, changed_at) "
            f"VALUES (1, 'email_marketing', 'withdrawn', 3, {at})",
        ):
            connection.execute(text(statement))  # as 0002 wrote them
    flask_migrate.upgrade()
    assert list(projection.differences()) == []


BEFORE_SLIM = {
    "consent_records": [
        {"id": number, "public_id": f"r{number}", "contact_id": 1, "purpose_key": "email_marketing", "channel": "email",
         "action": "given", "source": "form", "source_ref": "", "actor": "person", "happened_at": number, "recorded_at": number}
        for number in range(1, 12)
    ],
    "subscriptions": [
        {"contact_id": 1, "topic_id": number, "state": state, "record_id": number, "until": until, "changed_at": number,
         "cadence": cadence, "last_mailed_at": mailed, "last_mailed_for": mailed and 7, "legal_basis": basis,
         "by_guardian": number == 2, "renewal_asked_for": asked}
        for number, (state, basis, cadence, until, mailed, asked) in enumerate(
            (
                ("requested", "double_opt_in", "each", None, None, None),
                ("given", "consent", "weekly", 90, 50, 90),
                ("refused", "existing_customer", "monthly", None, 60, None),
                ("withdrawn", "contract", "each", None, None, 80),
                ("objected", "legitimate_interest", "each", None, None, None),
                ("expired", "legal_obligation", "each", 70, None, None),
                ("invalidated", "vital_interest", "each", None, None, None),
                ("given", "public_task", "each", None, None, None),
                ("withdrawn", None, "each", None, None, None),
            ),
            start=1,
        )
    ],
    "standings": [
        {"contact_id": 1, "purpose_key": "email_marketing", "state": "open", "record_id": 10, "paused_until": 99, "changed_at": 10},
        {"contact_id": 1, "purpose_key": "tracking", "state": "objected", "record_id": 11, "paused_until": None, "changed_at": 11},
    ],
}  # fmt: skip


def reflected(name: str) -> Table:
    """The table as the database has it now; moments in our words."""
    table = Table(name, MetaData(), autoload_with=db.engine)
    for column in table.columns:
        if column.name in ("at", "until") or column.name.endswith(("_at", "_until", "mailed_at", "asked_for")):
            column.type = UTCDateTime()
        if column.name == "by_guardian":
            column.type = Boolean()
    return table


def moments(row: dict[str, Any]) -> dict[str, Any]:
    """Each number in a column of moments is so many days after the first of January."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    kinds = ("at", "until", "for")
    is_moment = {name: name.rpartition("_")[2] in kinds and name != "last_mailed_for" for name in row}
    return {
        name: first + timedelta(days=value) if is_moment[name] and value is not None else value
        for name, value in row.items()
    }


def rows_of(name: str) -> list[dict[str, Any]]:
    table = reflected(name)
    with db.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def test_states_become_slim_and_words_again_without_losing_anything(bare: Flask) -> None:
    """0008: numbers for words, and what only few rows have in tables of its own."""
    flask_migrate.upgrade(revision="0007")
    wide = {name: [moments(row) for row in rows] for name, rows in BEFORE_SLIM.items()}
    with db.engine.begin() as connection:
        for name, rows in wide.items():
            connection.execute(reflected(name).insert(), rows)
    flask_migrate.upgrade(revision="0008")
    said = {row.topic_id: row for row in db.session.scalars(select(Subscription))}
    for row in wide["subscriptions"]:
        kept = said[row["topic_id"]]
        assert (kept.state, kept.legal_basis, kept.cadence) == (row["state"], row["legal_basis"], row["cadence"])
        assert (kept.record_id, kept.until, kept.by_guardian) == (row["record_id"], row["until"], row["by_guardian"])
    assert [
        (row.state, row.paused_until) for row in db.session.scalars(select(Standing).order_by(Standing.record_id))
    ] == [(row["state"], row["paused_until"]) for row in wide["standings"]]
    assert [(row.topic_id, row.occasion) for row in db.session.scalars(select(LastMail))] == [(2, 7), (3, 7)]
    assert {row.topic_id for row in db.session.scalars(select(RenewalLetter))} == {2, 4}
    db.session.remove()
    flask_migrate.downgrade(revision="0007")
    for name in ("subscriptions", "standings"):
        assert rows_of(name) == wide[name]
