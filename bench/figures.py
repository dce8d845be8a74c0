"""What a measurement gives: a figure in words, and the time and memory of this process."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    what: str
    value: str
    aim: str = ""


@dataclass
class Watch:
    seconds: float = 0.0


@contextmanager
def watch() -> Iterator[Watch]:
    """How long the block took, in `.seconds`."""
    running = Watch()
    begun = time.perf_counter()
    try:
        yield running
    finally:
        running.seconds = time.perf_counter() - begun


def peak_memory() -> int:
    """The most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1024 if sys.platform == "linux" else peak / 1024 / 1024)
