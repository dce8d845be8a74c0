"""A browser without a browser: each request gets an application context of its own, as it does behind a real server."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient


class FreshContextClient(FlaskClient):
    """`g` and the database session of one request must not be seen by the next; the test's own context stays outside."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        with self.application.app_context():
            return super().open(*args, **kwargs)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.test_client_class = FreshContextClient
    return app.test_client(use_cookies=False)
