"""A campaign to a million contacts, filled and sent by the workers to its end: how large each process grows (G15). Prints JSON.

python bench/memory.py [--people 1000000]

Two workers on PostgreSQL into a sink with CHUNKING. Memory is the resident set of each process as Linux tells it, pages that are shared
counted in each. "Early" and "late" are the medians over the first and the last fifth of the sending.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import newsletter, yardsticks
from bench.sending_house import SendingHouse, all_must_be_sent
from preference_center import clock, jobs
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, MessageState
from preference_center.topics.models import Topic

LOOK_EVERY = 0.5  # seconds
TELL_EVERY = 30.0


class Sample(NamedTuple):
    """The size of one process at one moment, in seconds from the start and in megabytes."""

    at: float
    role: str  # worker, or job: what a worker forks for each
    size: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--people", type=int, default=1_000_000)
    people = arguments.parse_args().people
    with yardsticks.chunking_sink() as port, SendingHouse(f"smtp://127.0.0.1:{port}", people) as house:
        print(json.dumps({"what": "G15"} | _measure(house, people)))


def _measure(house: SendingHouse, people: int) -> dict[str, object]:
    campaign_id = _scheduled()
    begun, filled, told = time.monotonic(), 0.0, 0.0
    samples: list[Sample] = []
    house.ring(jobs.START_DUE)
    while (campaign := _look(campaign_id)).state is not CampaignState.sent:
        now = time.monotonic() - begun
        filled = filled or (now if campaign.filled_at else 0.0)
        samples += [Sample(now, role, size) for role, size in _sizes(house.worker_ids())]
        if now - told > TELL_EVERY:
            told = now
            print(f"{now:.0f} s: {_left(campaign_id):,} waiting, {samples[-1].size} MB", file=sys.stderr, flush=True)
        time.sleep(LOOK_EVERY)
    all_must_be_sent(campaign_id, people)
    jobs_while_sending = [sample for sample in samples if sample.role == "job" and sample.at > filled]
    fifth = len(jobs_while_sending) // 5
    return {
        "contacts": people,
        "seconds_to_fill": round(filled),
        "seconds_to_send": round(time.monotonic() - begun - filled),
        "largest_worker_MB": max(sample.size for sample in samples if sample.role == "worker"),
        "largest_job_MB": max(sample.size for sample in samples if sample.role == "job"),
        "job_early_MB": statistics.median(sample.size for sample in jobs_while_sending[:fifth]),
        "job_late_MB": statistics.median(sample.size for sample in jobs_while_sending[-fifth:]),
        "aim": "< 300 MB, flat",
    }


def _scheduled() -> int:
    with transaction():
        topic = db.session.scalars(select(Topic)).one()
        campaign = scheduling.create(
            "A million", topic, newsletter.SUBJECT, "html", newsletter.html(), text_source=newsletter.text()
        )
    with transaction():
        scheduling.schedule(campaign, clock.now())
    return campaign.id


def _look(campaign_id: int) -> Campaign:
    db.session.rollback()
    return db.session.get_one(Campaign, campaign_id, populate_existing=True)


def _left(campaign_id: int) -> int:
    waiting = (Message.campaign_id == campaign_id, Message.state == MessageState.queued)
    return db.session.scalar(select(func.count()).where(*waiting)) or 0


def _sizes(workers: list[int]) -> Iterator[tuple[str, int]]:
    """The role and size of each worker, and of the job that it has forked."""
    for worker in workers:
        with suppress(OSError, StopIteration):  # the job has ended meanwhile
            yield "worker", _resident(worker)
            for job in Path(f"/proc/{worker}/task/{worker}/children").read_text(encoding="ascii").split():
                yield "job", _resident(int(job))


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


if __name__ == "__main__":
    main()
