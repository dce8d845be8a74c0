"""The soak (K14, S84): four workers, a kill every second, the queue flushed twice, PostgreSQL restarted twice, a relay with mixed
faults. `make faults`; PEOPLE=50000 make faults ARGS="-k soak" for the whole of it.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from preference_center import embedded
from preference_center.campaigns.models import CampaignState
from preference_center.config import Settings
from preference_center.db import db
from tests.faults.scenario import CONNECTIONS, Scenario, children, scenario
from tests.faults.stable import Stable
from tests.support.databases import postgresql_control

PEOPLE = int(os.environ.get("PEOPLE", "5000"))
PACE = min(1.0, PEOPLE / 20_000)  # seconds between two kills: a small campaign is over in a few
WORKERS = [f"worker{number}" for number in range(4)]
# What the servers of single people do, of fifty; and what concerns the relay as a whole, a few times in any soak, because it is
# left alone for ten seconds or more each time.
OFTEN = {1: "+450x1", 2: "+451dotx1", 3: "+554data", 4: "+slow0.2"}
SELDOM = {0.1: "+421dotx1", 0.2: "+dropafterdot", 0.3: "+droprcptx1", 0.6: "+dropafterdot"}

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]


class Nemesis:
    """Kills those who send: a worker that still starts has nothing to lose, and on a slow machine nothing would ever leave.

    About once a second, oftener where few get it, but not before some more messages were accepted, so that the campaign ends.
    """

    def __init__(self, play: Scenario, stable: Stable) -> None:
        self.play, self.stable, self.next_kill, self.accepted = play, stable, 0.0, 0
        for name in WORKERS:
            self.stable.start(name)

    def strike(self) -> None:
        for name in WORKERS:
            if self.play.own.processes[name].poll() is not None:  # as the supervisor does
                self.stable.start(name)
        if time.monotonic() < self.next_kill or self.play.accepted() < self.accepted + PEOPLE // 100:
            return
        senders = [name for name in WORKERS if self._sends(name)]
        if senders:
            victim = self.play.dice.choice(senders)
            self.play.kill(victim)
            self.stable.start(victim)
            self.accepted = self.play.accepted()
            self.next_kill = time.monotonic() + self.play.dice.uniform(0.5, 1.5) * PACE

    def _sends(self, name: str) -> bool:
        """Whether its horse has a journal open."""
        for horse in children(self.play.own.processes[name].pid):
            for file in Path(f"/proc/{horse}/fd").glob("*"):
                with suppress(OSError):
                    if file.readlink().suffix == ".journal":
                        return True
        return False


def test_soak(settings: Settings) -> None:  # K14, M8, R1, D1, S84, P1, P2, P6, P10
    seldom = {int(share * PEOPLE): fault for share, fault in SELDOM.items()}

    def address(number: int) -> str:
        return f"person{number}{seldom.get(number) or OFTEN.get(number % 50, '')}@example.org"

    with scenario(settings, people=PEOPLE, script=address) as play, Stable(play.own) as stable:
        nemesis = Nemesis(play, stable)
        play.sweeps_every = 3.0  # each is a fork
        events = {0.2: "flush", 0.35: "restart", 0.5: "flush", 0.65: "restart"}
        accepted, end, told = 0, time.monotonic() + 600, 0.0
        state, looked = play.look(), 0.0
        while state is not CampaignState.sent:
            if time.monotonic() - looked > 0.5:  # counting all of them is work for a server that has enough of it
                state, looked = play.look(), time.monotonic()
            if play.accepted() > accepted:  # on a busy machine it is slow, but it gets on
                accepted, end = play.accepted(), time.monotonic() + 600
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
            if share < 0.8:  # then let it end
                nemesis.strike()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                if share >= 0.8:
                    play.waiting_is_over()
                print(f"  {told - play.began:.0f} s: {share:.0%} accepted, {play.kills} kills, {state}", flush=True)
            time.sleep(0.1)
        assert not events, "the campaign was over before everything had been done to it"
        assert play.kills > 10, "hardly anybody was killed at work"
        doubtful = sum("dropafterdot" in one for one in play.people)
        past = play.judge(uncertain=play.kills * CONNECTIONS + doubtful)
        assert past.of("failed") == {one for one in play.people if "554data" in one}
