"""Every page of the console × every role × nobody: the table decides, and the server refuses what the menu hides."""

from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.routing import Rule

from preference_center.accounts.permissions import Permission, Role, may
from preference_center.db import transaction
from tests.support import staff
from tests.web.admin.conftest import Console, user_named, words


def _pages(app: Flask) -> list[tuple[Rule, str, Permission]]:
    """(rule, method, permission) of every page behind the gate."""
    found = []
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        if rule.endpoint.startswith("admin.") and permission is not None:
            found += [(rule, method, permission) for method in (rule.methods or set()) & {"GET", "POST"}]
    return found


def _path(rule: Rule) -> str:
    """An address of this page; what it names does not exist, so an allowed request ends in 404 at the worst."""
    values = dict.fromkeys(rule.arguments, "end")
    for name, converter in rule._converters.items():
        if hasattr(converter, "items"):
            values[name] = min(converter.items)
    path = rule.build(values)
    assert path is not None
    return path[1]


@pytest.mark.parametrize("role", list(Role))
def test_every_page_is_open_to_exactly_the_roles_of_the_table(
    app: Flask, signed_in: Callable[..., Console], role: Role
) -> None:  # V8.1.1, V8.2.1, V8.3.1
    console = signed_in(role)
    token = console.token
    pages = _pages(app)
    assert len(pages) > 35
    for rule, method, permission in pages:
        if rule.endpoint in ("admin.sign_out", "admin.end_sessions"):
            continue
        data = {"csrf_token": token} if method == "POST" else None
        answer = console.client.open(_path(rule), method=method, data=data, base_url="https://mail.example.com")
        if may(role, permission):
            assert answer.status_code != 403, f"{role} must reach {method} {rule.rule}"
            assert answer.status_code < 500, f"{method} {rule.rule}"
        else:
            assert answer.status_code == 403, f"{role} must not reach {method} {rule.rule}: {answer.status}"


def test_nobody_reaches_any_of_them(app: Flask, anybody: Console) -> None:
    for rule, method, _permission in _pages(app):
        answer = anybody.client.open(_path(rule), method=method, base_url="https://mail.example.com")
        assert answer.status_code == 302, rule.rule
        assert answer.headers["Location"].startswith("/admin/sign-in"), rule.rule


def test_the_refusal_says_which_role_is_needed(viewer: Console) -> None:
    answer = viewer.get("/admin/users")
    assert answer.status_code == 403
    assert "You are Viewer. This page needs the role: Owner." in words(answer)


@pytest.mark.parametrize(
    ("role", "hidden"),
    [
        (Role.owner, set()),
        (Role.marketer, {"Users"}),
        (Role.viewer, {"Users", "Imports"}),
    ],
)
def test_the_menu_shows_what_a_role_may_use(signed_in: Callable[..., Console], role: Role, hidden: set[str]) -> None:
    html = signed_in(role).get("/admin/").get_data(as_text=True)
    menu = html[html.index('<nav class="wide"') : html.index("</nav>", html.index('<nav class="wide"'))]
    shown = {name for name in ("Home", "Campaigns", "Contacts", "Imports", "Topics", "Users") if name in menu}
    assert shown == {"Home", "Campaigns", "Contacts", "Imports", "Topics", "Users"} - hidden


def test_a_changed_role_counts_at_the_next_request(signed_in: Callable[..., Console]) -> None:  # V8.3.2, C8
    console = signed_in(Role.owner)
    assert console.get("/admin/users").status_code == 200
    with transaction():
        user_named("owner@example.com").role = Role.viewer
    assert console.get("/admin/users").status_code == 403


@pytest.mark.parametrize(("role", "status"), [(Role.owner, 302), (Role.marketer, 302), (Role.viewer, 200)])
def test_who_can_send_or_see_addresses_sets_up_the_second_factor_first(
    signed_in: Callable[..., Console], role: Role, status: int
) -> None:  # V6.3.3
    console = signed_in(role)
    with transaction():
        user_named(f"{role}@example.com").tf_totp_secret = None
    answer = console.get("/admin/campaigns")
    assert answer.status_code == status
    if status == 302:
        assert answer.headers["Location"] == "/admin/account/second-factor"
        assert console.post("/admin/users", {"email": "x@example.com", "role": "owner"}).status_code == 302


@pytest.mark.parametrize("token", ["", "x", "IjEi.abc.def"])
def test_a_post_without_the_token_of_the_page_is_refused(owner: Console, token: str) -> None:  # V3.5.1
    answer = owner.post("/admin/users", {"csrf_token": token, "email": "new@example.com", "role": "viewer"})
    assert answer.status_code == 400
    assert "was not sent" in words(answer)
    assert "new@example.com" not in owner.text("/admin/users")


def test_a_post_from_another_site_is_refused_even_with_the_token(owner: Console) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = owner.post("/admin/users", {"email": "new@example.com", "role": "viewer"}, headers=headers)
    assert answer.status_code == 400
    assert "new@example.com" not in owner.text("/admin/users")


def test_a_page_that_names_no_permission_is_closed(app: Flask, owner: Console) -> None:
    view = app.view_functions["admin.home"]
    app.view_functions["admin.home"] = lambda: "open to the world"
    assert owner.get("/admin/").status_code == 404
    app.view_functions["admin.home"] = view


def test_a_closed_account_is_out_at_once(signed_in: Callable[..., Console], owner: Console) -> None:  # V7.4.2
    jan = signed_in(Role.viewer, "jan@example.com")
    public_id = user_named("jan@example.com").public_id
    assert jan.get("/admin/").status_code == 200
    owner.post(f"/admin/users/{public_id}/close")
    assert jan.get("/admin/").status_code == 302


def test_a_role_is_not_taken_from_the_form(app: Flask, anybody: Console) -> None:  # V15.3.3
    with transaction():
        staff.user("jan@example.com", Role.viewer, second_factor=False)
    anybody.get("/admin/sign-in")
    anybody.post("/admin/sign-in", {"email": "jan@example.com", "password": staff.PASSWORD, "role": "owner"})
    assert user_named("jan@example.com").role is Role.viewer
