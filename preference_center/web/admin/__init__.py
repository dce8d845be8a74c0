"""The console of the marketers, under `/admin/`: one file per resource, every page behind the gate."""

from flask import Flask

from preference_center.web.admin import (  # noqa: F401 importing a resource registers its pages
    contacts,
    events,
    forms,
    home,
    imports,
    look,
    sessions,
    topics,
    users,
    wordings,
    words,
)
from preference_center.web.admin.gate import pages
from preference_center.web.admin.planning import (  # noqa: F401
    campaigns,
    campaigns_again,
    campaigns_templates,
    previews,
    progress,
    schedules,
    segments,
)


def init(app: Flask) -> None:
    """Join the console to the app."""
    words.init(app)
    app.register_blueprint(pages)
