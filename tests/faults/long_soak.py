"""The soak (K14, S84): four workers, a kill every second, the queue flushed twice, PostgreSQL restarted twice, a relay with mixed
faults. `make faults`; PEOPLE=50000 make faults ARGS="-k soak" for the whole of it.
"""

import os
import time

import pytest
import redis

from preference_center import embedded
from preference_center.campaigns.models import CampaignState
from preference_center.config import Settings
from preference_center.db import db
from tests.faults.scenario import CONNECTIONS, scenario
from tests.support.databases import postgresql_control

PEOPLE = int(os.environ.get("PEOPLE", "5000"))
WORKERS = 4
FAULTS = {
    1: "+450x1",
    2: "+421dotx1",
    3: "+dropafterdot",
    4: "+droprcptx1",
    5: "+554data",
    6: "+slow0.2",
}  # of fifty people

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]


def test_soak(settings: Settings) -> None:  # K14, M8, R1, D1, S84, P1, P2, P6, P10
    def address(number: int) -> str:
        return f"person{number}{FAULTS.get(number % 50, '')}@example.org"

    with scenario(settings, people=PEOPLE, script=address) as play:
        names = [f"worker{number}" for number in range(WORKERS)]
        for name in names:
            play.worker(name)
        events = {0.2: "flush", 0.35: "restart", 0.5: "flush", 0.65: "restart"}
        end = time.monotonic() + 600 + PEOPLE / 20
        while play.look() is not CampaignState.sent:
            assert time.monotonic() < end, f"the campaign did not end (seed {play.seed})"
            play.sweep()
            share = play.accepted() / PEOPLE
            for due in [at for at in events if share >= at]:
                if events.pop(due) == "flush":
                    redis.Redis.from_url(embedded.redis_url(play.own.settings)).flushall()
                else:
                    db.session.remove()
                    db.engine.dispose()
                    postgresql_control("restart", "fast")
            if share < 0.8:  # then let it end; what waits for a second try would outlast any patience
                victim = play.dice.choice(names)
                play.kill(victim)
                play.worker(victim)
            print(f"  {share:.0%} accepted, {play.kills} kills", end="\r", flush=True)
            time.sleep(play.dice.uniform(0.5, 1.5))
        assert not events, "the campaign was over before everything had been done to it"
        doubtful = sum("dropafterdot" in one for one in play.people)
        past = play.judge(uncertain=play.kills * CONNECTIONS + doubtful)
        assert past.of("failed") == {one for one in play.people if "554data" in one}
