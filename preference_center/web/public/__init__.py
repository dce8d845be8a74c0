"""The pages for contacts: preferences, leaving, signing up, confirming. No log-in, no cookie, no script."""

from flask import Blueprint, Flask

from preference_center.signed_links import ExpiredLink
from preference_center.web.guards import DeadLink

pages = Blueprint("public", __name__)

from preference_center.web.public import (  # noqa: E402, F401 - importing a page registers it
    archive,
    confirm,
    dead_links,
    look,
    new_link,
    policy,
    subscribe,
    tracking,
    unsubscribe,
)
from preference_center.web.public.managing import (  # noqa: E402, F401
    data_rights,
    preferences,
    receipts,
    renewal,
)


def init(app: Flask) -> None:
    app.register_blueprint(pages)
    app.jinja_env.globals["look"] = look.current
    app.register_error_handler(DeadLink, dead_links.show)
    app.register_error_handler(ExpiredLink, confirm.explain_expired)
