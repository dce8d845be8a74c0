"""Sign-in of users, by Flask-Security: password and TOTP."""

from flask import Flask


def init(app: Flask) -> None:
    """Set Flask-Security up on the app."""
