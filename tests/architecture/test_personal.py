"""House rule 15: every table that points at a contact says in its room's `personal.py` what is exported and how it is forgotten."""

from pathlib import Path

from preference_center.db import Base
from preference_center.privacy import export
from tests.support.sources import MODULES

# how a table points at a person: by number, by the keyed hash of the address, or by the address itself
POINTS = ("contact_id", "address_hash", "email")
OF_STAFF = {"users"}  # a user is no contact


def points_at_a_contact(columns: set[str]) -> bool:
    return any(column == name or column.endswith(f"_{name}") for column in columns for name in POINTS)


def test_every_table_that_points_at_a_contact_is_collected() -> None:
    pointing = {name for name, t in Base.metadata.tables.items() if points_at_a_contact(set(t.columns.keys()))}
    named = [model.__tablename__ for room in export.ROOMS for model in room.TABLES]
    assert pointing - set(named) == OF_STAFF
    assert len(named) == len(set(named)), "two rooms claim one table"
    assert set(named) <= set(Base.metadata.tables)


def test_a_table_of_addresses_would_be_found() -> None:
    assert points_at_a_contact({"id", "contact_id"})
    assert points_at_a_contact({"old_email"})
    assert not points_at_a_contact({"id", "campaign_id"})


def test_every_personal_file_is_collected_and_speaks_the_same_language() -> None:
    files = {file.parts[1] for file in MODULES if file.name == "personal.py"}
    assert {Path(str(room.__file__)).parent.name for room in export.ROOMS} == files
    for room in export.ROOMS:
        assert callable(room.held) and callable(room.forget) and isinstance(room.KEPT_BACK, dict), room.__name__


def test_every_collected_table_says_how_long_it_is_kept() -> None:
    named = {model.__tablename__ for room in export.ROOMS for model in room.TABLES}
    assert named - set(export.KEPT) <= {"subscriptions", "standings", "contact_keys", "suppression_records"}


def test_what_is_kept_back_is_a_column_and_has_a_reason() -> None:
    for room in export.ROOMS:
        for name, reason in room.KEPT_BACK.items():
            table, column = name.split(".")
            assert column in Base.metadata.tables[table].columns, name
            assert len(reason) > 20
