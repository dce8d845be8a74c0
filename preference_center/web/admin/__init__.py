"""The console of the marketers, under `/admin/`: one file per resource, every page behind the gate."""

from flask import Flask

from preference_center.web.admin import (  # noqa: F401 importing a resource registers its pages
    campaigns,
    campaigns_again,
    campaigns_templates,
    contacts,
    events,
    forms,
    home,
    imports,
    look,
    previews,
    progress,
    schedules,
    segments,
    sessions,
    topics,
    users,
    wordings,
    words,
)
from preference_center.web.admin.gate import pages


def init(app: Flask) -> None:
    """Join the console to the app."""
    words.init(app)
    app.register_blueprint(pages)
