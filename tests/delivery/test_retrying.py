"""S87: what the relay refused for good is never tried again; what it put off is, and not for ever."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from preference_center import clock
from preference_center.campaigns.models import Campaign
from preference_center.contacts import addresses
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import queries, sending
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from tests.support.campaigns import filled, send_what_waits
from tests.support.relay import FakeRelay

pytestmark = pytest.mark.relay


@pytest.mark.both_databases
def test_a_final_no_is_tried_once_and_a_temporary_one_until_its_day_is_over(
    app: Flask, relay: FakeRelay
) -> None:  # S87
    campaign = filled(
        ["bo+550rcpt@example.org", "cy+554dot@example.org", "di+450rcpt@example.org", "eve+450x2@example.org"]
    )
    tries = []
    for _ in range(4):
        send_what_waits(campaign)
        rows = sorted(queries.rows(campaign), key=lambda row: str(row[1].email))
        tries.append([(message.attempt, str(message.state)) for message, _contact in rows])
    assert tries[0] == [(1, "failed"), (1, "failed"), (1, "queued"), (1, "queued")]
    assert tries[2] == [(1, "failed"), (1, "failed"), (3, "queued"), (3, "sent")]
    assert tries[3] == [(1, "failed"), (1, "failed"), (4, "queued"), (3, "sent")]
    asked = [str(one) for one in relay.history if "+550rcpt" in str(one)]
    assert len([one for one in asked if "RCPT" in one.upper()]) <= 1, "the relay was asked once"
    with transaction():
        begun = clock.now() - timedelta(days=1, seconds=1)
        db.session.execute(update(Campaign).values(started_at=begun, updated_at=begun))
    db.session.expire_all()
    send_what_waits(campaign)
    figures = queries.figures(campaign)
    assert (figures.failed, figures.sent, figures.skipped, figures.queued) == (2, 1, {"too_late": 1}, 0)


@pytest.mark.parametrize("then", ["stays", "moves"])
def test_a_dead_address_is_closed_and_not_the_one_that_the_person_has_by_then(
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    relay.options.replies["RCPT"] = "550 5.1.1 no such user here"
    campaign, was, new = filled(["bo@example.org"]), addresses.parse("bo@example.org"), addresses.parse("b@example.org")
    hand_over = sending._hand_over

    def moved_meanwhile(*given: Any) -> None:
        hand_over(*given)
        with transaction():
            db.session.scalars(select(Contact)).one().move_to(new.email, new.hash, clock.now())

    if then == "moves":
        monkeypatch.setattr(sending, "_hand_over", moved_meanwhile)
    send_what_waits(campaign)
    assert register.standing([was.hash, new.hash]) == {was.hash: Cause.bounce}
