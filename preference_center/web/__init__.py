"""The doors for people: registers the blueprints, error pages and security headers."""

from flask import Flask


def init(app: Flask) -> None:
    """Join all pages to the app."""
