"""`python -m tests.faults.wrong_clock HOURS [queue …]`: a worker on a machine whose clock is wrong by so many hours (T1)."""

import sys
from datetime import UTC, datetime, timedelta

import time_machine

from worker.__main__ import main

if __name__ == "__main__":
    wrong = datetime.now(UTC) + timedelta(hours=float(sys.argv[1]))
    with time_machine.travel(wrong, tick=True):
        main(sys.argv[2:])
