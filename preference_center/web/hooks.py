"""/hooks/<provider>[/<name>]: what mail providers report. No cookie, no session, no form; short plain answers, in milliseconds.

A post that does not prove itself is answered 401, so that a provider tries again once the secret is mended; only a counter keeps it.
The limits of pages do not count here: providers come in bursts from few networks, and a refused post costs nothing.
"""

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue

from preference_center.errors import NotFound
from preference_center.web import front, hook_posts
from preference_center.webhooks import hooks

pages = Blueprint("hooks", __name__, url_prefix="/hooks")


def init(app: Flask) -> None:
    app.register_blueprint(pages)


@pages.get("/<provider>")
@pages.get("/<provider>/<account>")
def greet(provider: str, account: str = "") -> ResponseReturnValue:
    """Also HEAD, which some send when a hook is made. Says no more than that this address is the right one."""
    try:
        hook = hooks.at(provider, account)
    except NotFound as unknown:
        return front.by_flask(hook_posts.line(unknown.message, 404))
    greeting = hook.provider.greet(hook_posts.post_of(request.environ, b""), hook.secrets)
    return front.by_flask(hook_posts.line(greeting or f"Events of {hook.provider.name} are taken here, by POST."))


@pages.post("/<provider>")
@pages.post("/<provider>/<account>")
def receive(provider: str, account: str = "") -> ResponseReturnValue:
    """What `hook_posts.take` answers before a request comes here, which is nearly every one."""
    return front.by_flask(hook_posts.answer(request.environ, provider, account))
