"""What create_app() settles for every room."""

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from preference_center.db import transaction
from tests.support import make


@pytest.mark.both_databases
def test_an_error_of_the_database_names_no_address(app: Flask) -> None:  # V16.2.5
    """RQ writes the text of whatever a job raised into the worker's log."""
    with pytest.raises(IntegrityError) as raised, transaction():
        make.contact("anna@example.org")
        make.contact("anna@example.org")
    assert "INSERT INTO contacts" in str(raised.value)
    assert "anna" not in str(raised.value)
