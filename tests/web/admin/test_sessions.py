"""Getting in and out of the console, and the ways that do not lead in."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.accounts import invitations, throttle, two_factor
from preference_center.accounts.audit import AuditEntry
from preference_center.accounts.models import UserSession
from preference_center.accounts.permissions import Role
from preference_center.db import db, transaction
from tests.support import staff
from tests.web.admin.conftest import SITE, Console, user_named, words

NOON = datetime(2026, 11, 22, 12, 0, 7, tzinfo=UTC)


@pytest.fixture
def maria(app: Flask) -> str:
    """The secret of an owner's authenticator."""
    with transaction():
        return staff.user().tf_totp_secret or ""


def _password(console: Console, password: str = staff.PASSWORD, path: str = "/admin/sign-in", **more: str) -> object:
    console.get(path)
    return console.post(path, {"email": "maria@example.com", "password": password, **more})


def _sign_in(console: Console, secret: str, path: str = "/admin/sign-in") -> str:
    """Both steps; where it leads."""
    _password(console, path=path)
    console.get("/admin/sign-in/code")
    answer = console.post("/admin/sign-in/code", {"code": staff.code(secret)})
    assert answer.status_code == 302, words(answer)
    return answer.headers["Location"]


def test_password_and_code_lead_in(anybody: Console, maria: str) -> None:
    assert _sign_in(anybody, maria) == "/admin/"
    assert anybody.get("/admin/").status_code == 200
    actions = [entry.action for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)]
    assert actions[-1] == "signed_in"


def test_the_password_alone_opens_nothing(anybody: Console, maria: str) -> None:  # V6.3.3
    answer = _password(anybody)
    assert answer.headers["Location"] == "/admin/sign-in/code"  # type: ignore[attr-defined]
    assert anybody.get("/admin/").status_code == 302
    assert db.session.query(UserSession).count() == 0


def test_a_code_used_once_is_refused_the_second_time(app: Flask, anybody: Console, maria: str) -> None:  # V6.5.1
    other = Console(type(anybody.client)(app, app.response_class, use_cookies=True))
    with time_machine.travel(NOON, tick=False):
        _sign_in(anybody, maria)
        _password(other)
        other.get("/admin/sign-in/code")
        answer = other.post("/admin/sign-in/code", {"code": staff.code(maria)})
    assert answer.status_code == 422
    assert "each code works once" in words(answer)
    assert other.get("/admin/").status_code == 302


def test_wrong_password_and_unknown_address_read_the_same(anybody: Console, maria: str) -> None:  # V6.3.8
    wrong = _password(anybody, "other words on tin roofs")
    anybody.get("/admin/sign-in")
    unknown = anybody.post("/admin/sign-in", {"email": "nobody@example.com", "password": staff.PASSWORD})
    assert wrong.status_code == unknown.status_code == 422  # type: ignore[attr-defined]
    assert words(wrong) == words(unknown)  # type: ignore[arg-type]


def test_after_five_wrong_passwords_one_must_wait_even_with_the_right_one(anybody: Console, maria: str) -> None:
    for _ in range(throttle.PER_ACCOUNT_AND_NETWORK):
        _password(anybody, "other words on tin roofs")
    answer = _password(anybody)
    assert answer.status_code == 429  # type: ignore[attr-defined]
    assert "Wait 15 minutes" in words(answer)  # type: ignore[arg-type]
    failures = db.session.query(AuditEntry).filter_by(action="sign_in_failed").all()
    assert len(failures) == throttle.PER_ACCOUNT_AND_NETWORK
    assert "maria" not in str([vars(entry) for entry in failures])


def test_after_five_wrong_codes_one_starts_over_and_waits(anybody: Console, maria: str) -> None:
    _password(anybody)
    for _ in range(throttle.PER_ACCOUNT_AND_NETWORK):
        anybody.get("/admin/sign-in/code")
        assert anybody.post("/admin/sign-in/code", {"code": "000000"}).status_code == 422
    assert anybody.post("/admin/sign-in/code", {"code": staff.code(maria)}).status_code == 429
    assert anybody.get("/admin/sign-in/code").status_code == 302, "the first step is forgotten"


def test_the_first_step_is_good_for_ten_minutes(anybody: Console, maria: str) -> None:
    with time_machine.travel(NOON, tick=False):
        _password(anybody)
    with time_machine.travel(NOON + timedelta(minutes=10, seconds=1), tick=False):
        assert anybody.get("/admin/sign-in/code").headers["Location"] == "/admin/sign-in"


def test_a_recovery_code_stands_in_once(app: Flask, anybody: Console, maria: str) -> None:
    with transaction():
        code = two_factor.new_recovery_codes(user_named("maria@example.com"))[0]
    for expected in (302, 422):
        _password(anybody)
        anybody.get("/admin/sign-in/recovery")
        assert anybody.post("/admin/sign-in/recovery", {"code": code}).status_code == expected
        if expected == 302:
            anybody.get("/admin/account")
            anybody.post("/admin/sign-out")


def test_who_lost_the_phone_gets_in_by_the_link_and_sets_up_a_new_one(anybody: Console, maria: str) -> None:
    _password(anybody)  # a step that was begun with the old password leads nowhere any more
    with transaction():
        path = invitations.start_over("maria@example.com").url.removeprefix(SITE)
    assert anybody.get("/admin/sign-in/code").headers["Location"] == "/admin/sign-in"
    anybody.get(path)
    entered = anybody.post(path, {"password": "wholly other words here"})
    assert entered.headers["Location"] == "/admin/"
    assert anybody.get("/admin/campaigns").headers["Location"] == "/admin/account/second-factor"


def test_what_the_browser_held_before_is_gone_after_sign_in(anybody: Console, maria: str) -> None:  # V7.2.4
    with anybody.session() as session:
        session |= {"token": "planted", "seen": clock.now().timestamp(), "planted": "yes"}
    anybody.get("/admin/sign-in")
    before = anybody.token
    _sign_in(anybody, maria)
    with anybody.session() as session:
        assert session["token"] != "planted"
        assert "planted" not in session
    anybody.get("/admin/account")
    assert anybody.post("/admin/account/time-zone", {"csrf_token": before, "time_zone": "UTC"}).status_code == 400


def test_a_planted_session_token_is_worthless(app: Flask, anybody: Console, maria: str) -> None:
    with anybody.session() as session:
        session |= {"token": "x" * 43, "seen": clock.now().timestamp()}
        session["_user_id"] = user_named("maria@example.com").fs_uniquifier
    assert anybody.get("/admin/").status_code == 302


def test_a_cookie_kept_after_signing_out_opens_nothing(anybody: Console, maria: str) -> None:  # V7.4.1
    _sign_in(anybody, maria)
    anybody.get("/admin/account")
    with anybody.session() as session:
        stolen = dict(session)
    answer = anybody.post("/admin/sign-out")
    assert answer.headers["Location"] == "/admin/sign-in"
    assert "storage" in answer.headers["Clear-Site-Data"]  # V14.3.1
    with anybody.session() as session:
        session.clear()
        session |= stolen
    assert anybody.get("/admin/").status_code == 302


def test_an_idle_browser_must_sign_in_again_and_comes_back_to_its_page(anybody: Console, maria: str) -> None:  # V7.3.1
    with time_machine.travel(NOON, tick=False):
        _sign_in(anybody, maria)
    with time_machine.travel(NOON + timedelta(minutes=50), tick=False):
        assert anybody.get("/admin/topics").status_code == 200
    with time_machine.travel(NOON + timedelta(minutes=105), tick=False):
        assert anybody.get("/admin/topics").status_code == 200, "each page asked for counts"
    with time_machine.travel(NOON + timedelta(minutes=166), tick=False):
        answer = anybody.get("/admin/topics")
        assert answer.headers["Location"] == "/admin/sign-in?next=/admin/topics"


def test_the_cookie_is_locked_to_this_host_and_to_https(anybody: Console) -> None:  # V3.3.1-V3.3.4
    cookie = anybody.get("/admin/sign-in").headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "wish",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:///evil.example",
        "/admin/../../evil",
        "/admin//evil.example",
        "/admin\t/x",
        "/admin\r\nLocation: https://evil.example",
        "%2f%2fevil.example",
        "/admin@evil.example",
        "javascript:alert(1)",
        "/p/some-token",
        "/admin/" + "a" * 600,
        "",
    ],
)
def test_after_sign_in_one_stays_in_the_console(anybody: Console, maria: str, wish: str) -> None:  # V3.7.2
    assert _sign_in(anybody, maria, f"/admin/sign-in?next={quote(wish, safe='')}") == "/admin/"


def test_after_sign_in_one_comes_to_the_page_one_wanted(anybody: Console, maria: str) -> None:
    wish = anybody.get("/admin/contacts?before=12").headers["Location"]
    assert _sign_in(anybody, maria, wish) == "/admin/contacts?before=12"


def test_an_invitation_leads_to_password_second_factor_and_recovery_codes(app: Flask, anybody: Console) -> None:
    with transaction():
        url = invitations.invite("new@example.com", Role.owner).url
    path = url.removeprefix("https://mail.example.com")
    assert "new@example.com" in anybody.text(path)
    assert anybody.post(path, {"password": "too short"}).status_code == 422
    assert anybody.post(path, {"password": staff.PASSWORD}).status_code == 302
    assert anybody.get("/admin/").headers["Location"] == "/admin/account/second-factor"
    page = anybody.get("/admin/account/second-factor").get_data(as_text=True)
    assert 'src="data:image/svg+xml;base64,' in page
    with anybody.session() as session:
        secret = session["new_secret"]
    assert anybody.post("/admin/account/second-factor", {"code": "000000"}).status_code == 422
    answer = anybody.post("/admin/account/second-factor", {"code": staff.code(secret)})
    assert answer.get_data(as_text=True).count("<code>") == two_factor.CODES
    assert anybody.get("/admin/users").status_code == 200
    assert anybody.get(path).status_code == 404, "used up"


def test_an_invitation_for_somebody_with_a_second_factor_still_asks_for_the_code(
    anybody: Console, maria: str
) -> None:  # V6.4.3
    with transaction():
        url = invitations.invite("maria@example.com", Role.owner).url
    path = url.removeprefix("https://mail.example.com")
    anybody.get(path)
    answer = anybody.post(path, {"password": "wholly other words here"})
    assert answer.headers["Location"] == "/admin/sign-in/code"
    assert anybody.get("/admin/").status_code == 302


@pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "..%2f", "a" * 5000])
def test_a_made_up_invitation_is_one_neutral_page(anybody: Console, token: str) -> None:
    assert anybody.get(f"/admin/invitation/{token}").status_code == 404


def test_new_recovery_codes_want_a_code_of_the_app(owner: Console) -> None:
    old = user_named("owner@example.com")
    assert owner.post("/admin/account/recovery-codes", {"code": "000000"}).status_code == 422
    answer = owner.post("/admin/account/recovery-codes", {"code": staff.code(old.tf_totp_secret)})
    assert answer.status_code == 200
    assert answer.get_data(as_text=True).count("<code>") == two_factor.CODES


def test_ending_other_sessions_keeps_this_one(app: Flask, anybody: Console, maria: str) -> None:  # V7.5.2
    other = Console(type(anybody.client)(app, app.response_class, use_cookies=True))
    with time_machine.travel(NOON, tick=False):
        _sign_in(other, maria)
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        _sign_in(anybody, maria)
        anybody.get("/admin/account")
        anybody.post("/admin/account/sessions/end")
        assert anybody.get("/admin/").status_code == 200
        assert other.get("/admin/").status_code == 302


def test_times_are_shown_in_the_zone_one_chooses(owner: Console) -> None:
    assert "Times are in UTC." in owner.text("/admin/")
    assert owner.post("/admin/account/time-zone", {"time_zone": "Europe/Warsaw"}).status_code == 302
    assert "Times are in Poland" in owner.text("/admin/")
    assert owner.post("/admin/account/time-zone", {"time_zone": "Etc/GMT+25"}).status_code == 400
