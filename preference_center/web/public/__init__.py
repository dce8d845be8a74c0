"""The pages for contacts: preferences, leaving, signing up, confirming. No log-in, no cookie, no script."""

from flask import Blueprint, Flask

pages = Blueprint("public", __name__)


def init(app: Flask) -> None:
    app.register_blueprint(pages)
