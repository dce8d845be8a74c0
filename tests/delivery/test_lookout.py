"""P5: a pause is seen before the next message, without a query for each on PostgreSQL."""

import time

import pytest
from flask import Flask
from sqlalchemy import event, update

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, is_postgresql, transaction
from preference_center.delivery.pace import lookout
from preference_center.delivery.pace.lookout import Lookout
from tests.support import make

pytestmark = pytest.mark.both_databases


def _sending() -> Campaign:
    with transaction():
        now = clock.now()
        campaign = Campaign(
            name="Autumn", topic_id=make.topic().id, state=CampaignState.sending, created_at=now, updated_at=now
        )
        db.session.add(campaign)
    return campaign


def _soon(watch: Lookout, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while (seen := watch.sees_sending()) and time.monotonic() < end:
        time.sleep(0.001)
    return not seen


def test_a_committed_pause_is_seen_at_once_and_one_not_committed_is_not(app: Flask) -> None:  # P5
    campaign = _sending()
    watch = Lookout(campaign.id)
    assert watch.look()
    with pytest.raises(KeyboardInterrupt), transaction():
        scheduling.pause(campaign)
        db.session.flush()
        raise KeyboardInterrupt
    assert not _soon(watch, 0.05)
    with transaction():
        scheduling.pause(campaign)
    # Told, not read: well within the interval at which the state is read in any case.
    assert _soon(watch, lookout.TOLD_SECONDS / 2 if is_postgresql() else 0)
    watch.close()


def test_a_change_past_our_own_verbs_is_seen_too(app: Flask) -> None:
    campaign = _sending()
    watch = Lookout(campaign.id)
    assert watch.look()
    with transaction():
        db.session.execute(update(Campaign).values(state=CampaignState.cancelled))
    assert _soon(watch, 5 * lookout.TOLD_SECONDS)
    watch.close()


def test_asking_before_each_message_costs_no_statement_through_the_pool(app: Flask) -> None:
    campaign_id = _sending().id
    db.session.rollback()
    watch, statements = Lookout(campaign_id), []
    watch.look()
    event.listen(db.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    assert all(watch.sees_sending() for _ in range(1000))
    assert statements == []
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    watch.close()
