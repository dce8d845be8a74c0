"""A job that wants memory, as a broken template or file might make one: `python -m worker` runs it as any other (K16)."""

from worker.context import job


@job
def eat(megabytes: int) -> None:
    bytearray(megabytes << 20)
