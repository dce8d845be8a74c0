"""Who may see a page of the console. Every page names its permission; one that names none is refused to everybody.

The check is made here, before each request, so no page can forget it and a changed role counts at once.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import Blueprint, abort, current_app, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_security import current_user
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms import ValidationError

from preference_center import clock
from preference_center.accounts import sessions as kept_sessions
from preference_center.accounts.models import User
from preference_center.accounts.permissions import Permission, roles_with

pages = Blueprint("admin", __name__, url_prefix="/admin")

MAX_TEXT = 1024 * 1024  # of what is typed into one form, where `max_bytes` allows it

# endpoint, words, icon, section, permission: what a role may not use is not shown
_MENU = (
    ("admin.home", _l("Home"), "home", "home", Permission.look),
    ("admin.campaigns", _l("Campaigns"), "send", "campaigns", Permission.look),
    ("admin.contacts_list", _l("Contacts"), "people", "contacts", Permission.look),
    ("admin.imports_list", _l("Imports"), "upload", "imports", Permission.import_contacts),
    ("admin.segments_list", _l("Segments"), "segment", "segments", Permission.look),
    ("admin.events_list", _l("Events"), "event", "events", Permission.look),
    ("admin.topics", _l("Topics"), "topic", "topics", Permission.look),
    ("admin.users", _l("Users"), "key", "users", Permission.manage_users),
)

View = TypeVar("View", bound=Callable[..., Any])
_OWN_PATH = re.compile(r"/admin(/[\w\-./]*)?(\?[\w\-=&%+.]*)?", re.ASCII)


def allowed(
    permission: Permission, *, before_second_factor: bool = False, max_bytes: int | None = None
) -> Callable[[View], View]:
    """This page is for users with the permission; it takes posts of up to `max_bytes` where the site's limit is too small."""

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        view.before_second_factor = before_second_factor  # type: ignore[attr-defined]
        view.max_bytes = max_bytes  # type: ignore[attr-defined]
        return view

    return mark


def for_anybody(view: View) -> View:
    """This page needs no sign-in: it is how one signs in."""
    view.for_anybody = True  # type: ignore[attr-defined]
    return view


def me() -> User:
    """The user who asks; only behind a page marked `allowed`."""
    user: User = g.user
    return user


def own_path(wish: str | None) -> str:
    """Where to go after sign-in: a path of the console, whatever `next` says."""
    if wish and len(wish) <= 500 and _OWN_PATH.fullmatch(wish) and "//" not in wish and ".." not in wish:
        return wish
    return url_for("admin.home")


def whole_number(text: str | None) -> int | None:
    """A place in a list, from the address; nothing when it is none."""
    return int(text) if text and len(text) < 16 and text.isascii() and text.isdigit() else None


@pages.before_request
def check() -> ResponseReturnValue | None:
    view: Any = current_app.view_functions[request.endpoint or ""]
    g.user = _signed_in()
    if getattr(view, "for_anybody", False):
        return _check_origin()
    if g.user is None:
        return _to_sign_in()
    needed = getattr(view, "permission", None)
    if needed is None:
        abort(404)
    if g.user.must_set_up_second_factor and not view.before_second_factor:
        return redirect(url_for("admin.set_up_second_factor"))
    if not g.user.may(needed):
        return render_template("admin/signing_in/not_allowed.html", roles=roles_with(needed)), 403
    if view.max_bytes:
        request.max_content_length = view.max_bytes
        request.max_form_memory_size = MAX_TEXT
    return _check_origin()


@pages.context_processor
def for_templates() -> dict[str, Any]:
    user: User | None = g.get("user")
    return {
        "me": user,
        "may": lambda name: user is not None and user.may(Permission(name)),
        "csrf_token": generate_csrf,
        "menu": [entry for entry in _MENU if user is not None and user.may(entry[-1])],
    }


def _signed_in() -> User | None:
    """The user of this browser's session, which must stand in the database and not have been left idle."""
    token, seen = session.get("token"), session.get("seen")
    if not token or not seen or not current_user.is_authenticated:
        return None
    found = kept_sessions.standing(token, datetime.fromtimestamp(seen, UTC))
    if found is None or found.user_id != current_user.id:
        session.clear()
        return None
    g.user_session = found
    session["seen"] = clock.now().timestamp()
    return found.user


def _to_sign_in() -> ResponseReturnValue:
    if request.path.rstrip("/") == "/admin":
        return redirect(url_for("admin.sign_in"))
    if request.method != "GET":
        flash(_("You were signed out meanwhile. Sign in, then go on."), "warn")
        return redirect(url_for("admin.sign_in"))
    return redirect(url_for("admin.sign_in", next=request.full_path.rstrip("?")))


def _check_origin() -> ResponseReturnValue | None:
    """A change must come from our own page: its token, and, where the browser says so, its site (ASVS V3.5.1)."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(400)
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        return render_template("admin/form_too_old.html"), 400
    return None
