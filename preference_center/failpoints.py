"""Places where a fault test makes this process die, stop, wait or fail. Nothing happens there unless PREFERENCE_CENTER_FAILPOINTS
is set: `claim.committed:kill` at the first passing, `smtp.dot:kill@5` at the fifth; several with commas between.
"""

import os
import re
import signal
import time

# Each is passed where its name says; tests/faults exercises every one of them.
POINTS = {
    "deliver.start": "the doorbell was taken, nothing is done yet",
    "fill.before_commit": "a range of messages is inserted, not committed",
    "bell.before_ring": "the work is committed, nobody has been rung for it",
    "claim.before_commit": "a chunk is claimed and judged, its locks held",
    "claim.committed": "the chunk is ours, nothing of it is rendered",
    "message.rendered": "one message is rendered, nothing of it has left",
    "smtp.body": "a message's body is on its way, its dot is not",
    "smtp.dot": "the dot is journalled and written",
    "smtp.reply": "the reply to the dot is read, not journalled",
    "store.before": "a chunk's replies are journalled, its results are not stored",
    "end.before": "all results are stored, the run and the campaign are not closed",
    "end.committed": "the run and the campaign are closed, the journal is not put aside",
    "sweep.settled": "a dead run's journal is read and its messages are judged, not committed",
}
ACTIONS = ("kill", "fell", "stop", "raise", "sleep")  # fell: the worker that forked this process dies with it
_SPEC = re.compile(r"(?P<point>[a-z_.]+):(?P<action>[a-z]+)(?:=(?P<seconds>\d+(?:\.\d+)?))?(?:@(?P<nth>\d+))?")


class Crash(BaseException):
    """What `raise` raises: no `except Exception` takes it for a failure of the work."""


class _Armed:
    def __init__(self, action: str, seconds: float, nth: int) -> None:
        self.action, self.seconds, self.passings_left = action, seconds, nth


_armed: dict[str, _Armed] = {}


def arm(spec: str) -> None:
    """Take effect from now on, in place of what was armed before. ValueError names what is not understood."""
    ready = read(spec)
    _armed.clear()
    _armed.update(ready)


def read(spec: str) -> "dict[str, _Armed]":
    """What a setting asks for; ValueError as above."""
    asked = {}
    for part in filter(None, (part.strip() for part in spec.split(","))):
        match = _SPEC.fullmatch(part)
        if match is None or match["point"] not in POINTS or match["action"] not in ACTIONS:
            raise ValueError(f"{part} is no failpoint: write point:action, such as claim.committed:kill@3")
        asked[match["point"]] = _Armed(match["action"], float(match["seconds"] or 0), int(match["nth"] or 1))
    return asked


def hit(point: str) -> None:
    """Pass a point."""
    if _armed:
        _pass(point)


def _pass(point: str) -> None:
    armed = _armed.get(point)
    if armed is None:
        return
    armed.passings_left -= 1
    if armed.passings_left:
        return
    del _armed[point]
    if armed.action in ("kill", "fell"):
        if armed.action == "fell":
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    elif armed.action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif armed.action == "sleep":
        time.sleep(armed.seconds)
    else:
        raise Crash(point)
