"""Statements handed to the driver as they are: the same values and the same errors as through SQLAlchemy, on both databases."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import Table, Text, bindparam, insert, literal, select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from preference_center import driver
from preference_center.db import after_commit, db, is_postgresql, open_connection, transaction, write_out
from preference_center.prepared import Prepared, spell_all, together
from preference_center.suppressions.models import Cause, Suppression

pytestmark = pytest.mark.both_databases

MOMENT = datetime(2026, 5, 3, 12, 30, 15, 123456, UTC)
HASH = b"\x00\x01" * 8
_table = cast(Table, Suppression.__table__)
_add = Prepared(
    insert(_table).returning(_table.c.address_hash, _table.c.until),
    sets=("address_hash", "cause", "until", "created_at"),
)
_lengthen = Prepared(update(_table).where(_table.c.address_hash == bindparam("whose")), sets=("until",))
_bounced = Prepared(select(_table.c.cause, _table.c.until).where(_table.c.cause == Cause.bounce))


def add() -> list[Any]:
    return _add.rows(address_hash=HASH, cause=Cause.bounce, until=None, created_at=MOMENT)


def test_values_pass_through_the_types_of_their_columns(app: Flask) -> None:
    with app.app_context():
        with transaction():
            assert add() == [(HASH, None)]
            _lengthen.run(whose=HASH, until=MOMENT)
            assert _bounced.rows() == [(Cause.bounce, MOMENT)]
        stored = db.session.scalars(select(Suppression)).one()
        assert (stored.cause, stored.until) == (Cause.bounce, MOMENT)


def test_a_look_sees_only_what_is_committed_and_leaves_no_transaction_open(app: Flask) -> None:
    with app.app_context():
        with transaction():
            add()
            assert _bounced.look() == []
        assert len(_bounced.look()) == 1
        lent = db.engine.raw_connection()
        told: Any = lent.driver_connection
        assert told.in_transaction is False if hasattr(told, "in_transaction") else not told.autocommit
        lent.close()


def test_a_look_that_breaks_off_leaves_no_connection_that_commits_by_itself(app: Flask) -> None:
    """What goes wrong before the database hears of it, too: a value that has no bytes, a time-out, a key pressed."""
    with app.app_context():
        spelling = "SELECT %(said)s" if db.engine.dialect.name == "postgresql" else "SELECT :said"
        with pytest.raises(UnicodeEncodeError):
            driver.look(db.engine, spelling, {"said": "\ud800"})
        with transaction():
            add()
        with pytest.raises(RuntimeError), transaction():
            _lengthen.run(whose=HASH, until=MOMENT)
            raise RuntimeError
        assert _bounced.look() == [(Cause.bounce, None)]


def test_what_was_written_is_undone_with_its_transaction(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(RuntimeError), transaction():
            add()
            raise RuntimeError
        assert _bounced.look() == []
        with transaction():  # and the next one does not use the connection of the last
            add()


def test_what_was_written_since_a_savepoint_is_undone_with_it(app: Flask) -> None:
    with app.app_context():
        with transaction():
            trial = db.session.begin_nested()
            add()
            trial.rollback()
            assert _bounced.rows() == []
            inner = db.session.begin_nested()
            add()
            inner.commit()
        assert len(_bounced.look()) == 1


def test_faults_are_those_of_sqlalchemy_and_name_no_value(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(IntegrityError) as fault, transaction():
            add()
            add()
        assert HASH.hex() not in str(fault.value.params)
        with pytest.raises(SQLAlchemyError), transaction():
            driver.run(open_connection(), "SELECT nothing FROM nowhere")
        with pytest.raises(SQLAlchemyError):
            driver.look(db.engine, "SELECT nothing FROM nowhere", ())
        with transaction():
            assert _bounced.rows() == []


@pytest.mark.only_postgresql
def test_a_connection_that_the_server_closed_is_not_used_again(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(SQLAlchemyError) as fault, transaction():
            own = driver.rows(open_connection(), "SELECT pg_backend_pid()")[0][0]
            with db.engine.connect() as another:
                another.execute(text("SELECT pg_terminate_backend(:own)"), {"own": own})
            add()
        assert not isinstance(fault.value, ProgrammingError)
        with transaction():
            add()


@pytest.mark.parametrize("call", [driver.run, driver.change, driver.rows])
def test_a_connection_that_can_give_no_cursor_is_a_fault_of_sqlalchemy(app: Flask, call: Callable[..., Any]) -> None:
    with app.app_context():
        with db.engine.connect() as connection:
            connection.info.pop("cursor", None)
            told: Any = connection.connection.driver_connection
            told.close()
            with pytest.raises(SQLAlchemyError):
                call(connection, "SELECT 1")
            connection.invalidate()
        with transaction():
            add()


def test_one_transaction_is_not_opened_inside_another(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(RuntimeError, match="open already"), transaction():
            add()
            with transaction():
                pass
        assert _bounced.look() == []


def test_objects_and_prepared_statements_share_one_transaction(app: Flask) -> None:
    with app.app_context():
        with transaction():
            add()
            found = db.session.scalars(select(Suppression)).one()
            found.cause = Cause.complaint
            assert _bounced.rows() == [(Cause.bounce, None)], "what the session holds is written when it is asked to be"
            write_out()
            assert _bounced.rows() == []
        assert db.session.scalars(select(Suppression.cause)).one() is Cause.complaint
        with pytest.raises(RuntimeError), transaction():
            db.session.delete(db.session.scalars(select(Suppression)).one())
            db.session.flush()
            raise RuntimeError
        assert db.session.scalars(select(Suppression.cause)).one() is Cause.complaint


@pytest.mark.parametrize("used", [True, False], ids=["session used", "session unused"])
def test_to_undo_the_session_undoes_all_of_the_open_transaction_so_far(app: Flask, used: bool) -> None:
    rung: list[str] = []
    with app.app_context():
        with transaction():
            add()
            after_commit(lambda: rung.append("for what was undone"))
            if used:
                db.session.scalars(select(Suppression)).one()
            db.session.rollback()
            assert _bounced.rows() == []
            add()
            after_commit(lambda: rung.append("for what was kept"))
        assert _bounced.look() == [(Cause.bounce, None)]
        assert rung == ["for what was kept"]
        with pytest.raises(RuntimeError), transaction():
            _lengthen.run(whose=HASH, until=MOMENT)
            db.session.rollback()
            _lengthen.run(whose=HASH, until=MOMENT)
            raise RuntimeError
        assert _bounced.look() == [(Cause.bounce, None)], "what follows is undone with its transaction too"


def test_a_value_that_only_a_default_would_give_is_refused(app: Flask) -> None:
    from preference_center.consent.models import ConsentRecord

    with app.app_context(), transaction(), pytest.raises(TypeError):
        Prepared(insert(ConsentRecord), sets=("contact_id",)).run(contact_id=1)


def test_a_list_of_values_and_a_statement_of_each_database_own(app: Flask) -> None:
    causes = [Cause.bounce, Cause.complaint]
    several = Prepared(
        select(_table.c.cause).where(_table.c.cause.in_(causes), _table.c.address_hash == bindparam("whose"))
    )
    own = Prepared(lambda: select(literal("array" if is_postgresql() else "json")))
    with app.app_context(), transaction():
        add()
        assert [tuple(row) for row in several.rows(whose=HASH)] == [(Cause.bounce,)]
        assert several.rows(whose=b"\0" * 16) == []
        assert [tuple(row) for row in own.rows()] == [("array" if is_postgresql() else "json",)]


def test_the_moments_of_a_statement_can_be_moved_on(app: Flask) -> None:
    before = Prepared(select(_table.c.cause).where(_table.c.created_at < MOMENT))
    with app.app_context(), transaction():
        add()
        assert before.rows() == []
        (moved, as_spelled) = together(before.asked(later=timedelta(microseconds=1)), before.asked())
        assert (len(moved.rows), as_spelled.rows) == (1, [])


def test_a_change_says_how_many_rows_it_changed(app: Flask) -> None:
    with app.app_context(), transaction():
        add()
        assert _lengthen.changed(whose=HASH, until=MOMENT) == 1
        assert _lengthen.changed(whose=b"\0" * 16, until=MOMENT) == 0


def test_several_asked_together_each_see_what_those_before_them_did(app: Flask) -> None:
    with app.app_context():
        with transaction():
            added, lengthened, found, nobody = together(
                _add.asked(address_hash=HASH, cause=Cause.bounce, until=None, created_at=MOMENT),
                _lengthen.asked(whose=HASH, until=MOMENT),
                _bounced.asked(),
                _lengthen.asked(whose=b"\0" * 16, until=MOMENT),
            )
            assert (added.rows, lengthened.changed, found.rows) == ([(HASH, None)], 1, [(Cause.bounce, MOMENT)])
            assert (nobody.changed, together()) == (0, [])
            assert [len(answer.rows) for answer in together(_bounced.asked(), _bounced.asked())] == [1, 1]
        assert len(_bounced.look()) == 1


def test_of_several_asked_together_a_fault_is_that_of_sqlalchemy_and_undoes_all(app: Flask) -> None:
    with app.app_context():
        adding = _add.asked(address_hash=HASH, cause=Cause.bounce, until=None, created_at=MOMENT)
        with pytest.raises(IntegrityError) as fault, transaction():
            together(adding, adding, _bounced.asked())
        assert HASH.hex() not in str(fault.value.params)
        with pytest.raises(UnicodeEncodeError), transaction():  # before the database hears of it
            together(_bounced.asked(), Prepared(select(bindparam("said", type_=Text()))).asked(said="\ud800"))
        with transaction():
            assert [answer.rows for answer in together(_bounced.asked(), _bounced.asked())] == [[], []]
            add()
        assert len(_bounced.look()) == 1


@pytest.mark.only_postgresql
def test_several_asked_together_travel_together(app: Flask, tmp_path: Path) -> None:
    """Counted as libpq wrote them down: each Sync waits for the server's answer."""
    with app.app_context(), transaction(), (tmp_path / "said").open("w+") as said:
        _bounced.rows()  # the transaction begins
        spoken: Any = open_connection().connection.driver_connection
        spoken.pgconn.trace(said.fileno())
        together(_bounced.asked(), _lengthen.asked(whose=HASH, until=MOMENT), _bounced.asked())
        spoken.pgconn.untrace()
        said.seek(0)
        words = said.read()
        assert (words.count("\tSync"), words.count("\tReadyForQuery")) == (1, 1)
        assert words.count("\tExecute") == 3


@pytest.mark.only_postgresql
def test_several_asked_together_each_see_what_was_committed_until_their_turn(app: Flask) -> None:
    """The order of a claim: who waits for a lock and then asks, sees what the holder of the lock committed (`reliability.md` 2.3)."""
    held, blocked = threading.Event(), threading.Event()
    locking = Prepared(select(_table.c.address_hash).where(_table.c.address_hash == HASH).with_for_update())
    with app.app_context(), transaction():
        add()

    def lengthen() -> None:
        with app.app_context(), transaction():
            _lengthen.run(whose=HASH, until=MOMENT)
            held.set()
            waited = text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            end = time.monotonic() + 10
            while not db.session.scalar(waited):
                assert time.monotonic() < end, "nobody waits for the lock"
                time.sleep(0.01)
            blocked.set()

    other = threading.Thread(target=lengthen)
    other.start()
    assert held.wait(10)
    with app.app_context(), transaction():
        _, found = together(locking.asked(), _bounced.asked())
    other.join()
    assert blocked.is_set()
    assert found.rows == [(Cause.bounce, MOMENT)]


def test_all_statements_can_be_spelled_before_anybody_asks(app: Flask) -> None:
    with app.app_context():
        unheard = Prepared(select(_table.c.until))
        assert unheard._spelled == {}
        spell_all(db.engine.dialect)
        assert set(unheard._spelled) == {db.engine.dialect.name}
