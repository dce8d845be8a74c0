"""`python -m tests.faults.starter`: one of many clocks. At a word from outside it starts what is due, and prints what it started (C6)."""

import sys

from preference_center import clock
from preference_center.app import create_app
from preference_center.campaigns import scheduling
from preference_center.db import transaction

if __name__ == "__main__":
    with create_app().app_context():
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(3):
            with transaction():
                started = scheduling.start_due(clock.now())
            print(*started, flush=True)
