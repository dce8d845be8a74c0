"""What granian's worker process calls to get the site; the process ends when its parent does, however that went."""

import multiprocessing

from flask import Flask

from preference_center import lifelines
from preference_center.app import create_app


def site() -> Flask:
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        lifelines.tie(parent.pid)
    return create_app()
