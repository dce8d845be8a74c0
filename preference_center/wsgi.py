"""What granian's worker process calls to get the site; the process ends when its parent does, however that went."""

from flask import Flask

from preference_center import lifelines, timekeeping
from preference_center.app import create_app


def site() -> Flask:
    lifelines.tie_to_forker()
    app = create_app()
    timekeeping.keep_on(app)
    return app
