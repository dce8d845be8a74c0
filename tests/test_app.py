"""What create_app() settles for every room."""

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from preference_center.db import db, transaction
from tests.support import make


@pytest.mark.both_databases
def test_an_error_of_the_database_names_no_address(app: Flask) -> None:  # V16.2.5
    """RQ writes the text of whatever a job raised into the worker's log."""
    with pytest.raises(IntegrityError) as raised, transaction():
        make.contact("anna@example.org")
        make.contact("anna@example.org")
    assert "INSERT INTO contacts" in str(raised.value)
    assert "anna" not in str(raised.value)


@pytest.mark.only_postgresql
def test_a_database_that_is_cut_off_without_a_word_is_given_up_by_the_kernel(app: Flask) -> None:
    with db.engine.connect() as connection:
        told = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    limits = {name: int(told[name]) for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")}
    assert limits["keepalives_idle"] + limits["keepalives_count"] * limits["keepalives_interval"] <= 30
    assert int(told["tcp_user_timeout"]) <= 30_000
