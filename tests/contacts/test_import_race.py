"""Somebody signs up with an address while a file with the same address is being stored."""

import threading
import time

import pytest
from flask import Flask

from preference_center.contacts import queries, storing
from preference_center.db import db, transaction
from tests.contacts import files
from tests.support import make


@pytest.mark.only_postgresql
def test_whoever_signs_up_meanwhile_is_one_contact_and_keeps_their_choice(app: Flask) -> None:
    import_ = files.brought("email,language,city\na@example.org,pl,Bath\nb@example.org,pl,Bath\n")
    batch = next(storing.batches(import_))
    signed_up, stored = threading.Event(), threading.Event()

    def sign_up() -> None:
        with app.app_context(), transaction():
            make.contact("a@example.org", language="es")
            signed_up.set()
            stored.wait(0.5)  # the import comes to wait for this transaction

    other = threading.Thread(target=sign_up)
    other.start()
    signed_up.wait()
    started = time.monotonic()
    with transaction():
        people = storing.store(import_, batch, {}).people
        stored.set()
    other.join()
    assert time.monotonic() - started > 0.3, "the import did not meet the sign-up"
    db.session.expire_all()
    contact = queries.by_email("a@example.org")
    assert contact is not None
    assert people[0].contact_id == contact.id
    assert (contact.language, contact.attributes) == ("es", {"city": "Bath"})
    assert queries.by_email("b@example.org") is not None
