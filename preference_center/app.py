"""create_app(): the one place that knows every room and joins them."""

from pathlib import Path

import redis
from flask import Flask
from flask_migrate import Migrate
from rq import Queue
from rq.serializers import JSONSerializer
from werkzeug.middleware.proxy_fix import ProxyFix

from preference_center import embedded, failpoints, i18n, lending, web
from preference_center.accounts import signing_in
from preference_center.config import Settings
from preference_center.db import db
from preference_center.delivery.results import engagement as post_book
from preference_center.engines import prepare_engine
from preference_center.jobs import Bell, Job
from preference_center.segments import engagement
from preference_center.signed_links import KeyRing
from preference_center.webhooks import hooks, inbox, ringing

_HERE = Path(__file__).parent
_LOOKED_AT = 20  # rings that wait: more are not all for the same work


def create_app(settings: Settings | None = None, *, bell: Bell | None = None) -> Flask:
    """The site, ready to serve or to run jobs and commands in. BadSettings when it cannot be configured."""
    settings = settings or hooks.read_settings()
    assets = _HERE / "_assets" if (_HERE / "_assets").is_dir() else _HERE.parent
    app = Flask("preference_center", template_folder=str(assets / "templates"), static_folder=str(assets / "static"))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
        MAX_CONTENT_LENGTH=64 * 1024,  # raised by the views that take files
        MAX_FORM_PARTS=1000,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https:"),
        SESSION_COOKIE_NAME="__Host-session" if settings.public_url.startswith("https:") else "session",
        TESTING=settings.testing,
    )
    app.extensions["settings"] = settings
    failpoints.arm(settings.failpoints)
    app.extensions["key_ring"] = KeyRing(settings.link_keys)
    app.extensions["address_key"] = settings.address_key.encode()[:64]
    app.extensions["bell"] = bell or RedisBell(settings)
    hooks.init(app)
    ringing.init(app)
    inbox.init(app)
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
        if db.engine.dialect.name != "sqlite":
            lending.ask_the_rested(db.engine)
    Migrate(app, db, directory=str(_HERE / "migrations"), compare_type=True)
    i18n.init(app, settings.default_language)
    signing_in.init(app)
    web.init(app)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=settings.proxies)  # type: ignore[method-assign]
    engagement.join(post_book)
    return app


class RedisBell:
    """Rings RQ. A queue that does not answer within a second is left alone: the sweep finds the work."""

    def __init__(self, settings: Settings) -> None:
        self.redis = redis.Redis.from_url(embedded.redis_url(settings), socket_timeout=1, socket_connect_timeout=1)

    def ring(self, job: Job, args: tuple[int | str, ...]) -> None:
        self._queue(job).enqueue_call(job.path, args=args, timeout=job.timeout, result_ttl=0, failure_ttl=60)

    def is_heard(self, job: Job) -> bool:
        return not self._queue(job).count

    def rings_only_for(self, job: Job, args: tuple[int | str, ...]) -> bool:
        queue = self._queue(job)
        same = [one for one in queue.get_jobs(length=_LOOKED_AT) if (one.func_name, *one.args) == (job.path, *args)]
        return len(same) == queue.count

    def _queue(self, job: Job) -> Queue:
        return Queue(job.queue, connection=self.redis, serializer=JSONSerializer)


def _engine_options(settings: Settings) -> dict[str, object]:
    # An error that names its statement's values would carry addresses into the workers' logs.
    discreet = {"hide_parameters": True}
    if settings.database_url.startswith("sqlite"):
        return discreet | {"connect_args": {"timeout": 10, "check_same_thread": False}}
    return discreet | {
        "pool_size": 10,
        "max_overflow": 10,
        "pool_timeout": 5,
        "connect_args": {
            "connect_timeout": 5,
            "options": "-c lock_timeout=5000 -c timezone=UTC",
            # a database that is cut off without a word is given up after half a minute, by the kernel
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
        },
    }
