"""Ties a process to its parent: when the parent is gone, however it went, the child is told to stop (Linux; elsewhere a no-op)."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def tie(parent: int, sign: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when `parent` ends; leave at once if it has ended already."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(sign))
    if os.getppid() != parent:
        os._exit(1)


def in_child(sign: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """What a child runs between fork and exec; the tie outlives the exec."""
    parent = os.getpid()

    def first() -> None:
        tie(parent, sign)

    return first


def tie_to_forker() -> None:
    """The same for a process that `multiprocessing` made, as granian's workers are."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        tie(parent.pid)
