"""Explaining a moment that has passed, while others write."""

import pytest
from flask import Flask
from sqlalchemy import select, update

from preference_center import clock
from preference_center.commands.people import explaining
from preference_center.consent.models import Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from tests.support import make


@pytest.mark.both_databases
def test_the_past_is_explained_while_somebody_else_writes(app: Flask) -> None:
    with transaction():
        make.follower(make.topic())
    then = clock.now()
    db.session.scalars(select(Contact)).all()  # what a command has read is a view of the database as it was
    with db.engine.begin() as somebody:
        somebody.execute(update(Contact).values(language="pl"))
    answer = explaining.explain("anna@example.org", "news", then)
    assert (answer["allowed"], answer["record"]["action"]) == (True, "given")
    assert len(db.session.scalars(select(Subscription)).all()) == 1
