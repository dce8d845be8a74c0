"""Signing in and out: invitation, password, code, recovery code, and the page of one's own account."""

from typing import Any

from flask import abort, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_security.utils import login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from preference_center import clock
from preference_center.accounts import audit, invitations, passwords, signing_in, throttle, two_factor
from preference_center.accounts import sessions as kept_sessions
from preference_center.accounts.models import User
from preference_center.accounts.permissions import Permission
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.web.admin import words
from preference_center.web.admin.gate import allowed, for_anybody, me, own_path, pages
from preference_center.web.admin.words import put_faults

HALF_WAY = 600  # seconds between password and code


class SignInForm(FlaskForm):  # type: ignore[misc]
    email = EmailField(_l("Email address"), [InputRequired(_l("Type your email address.")), Length(max=254)])
    password = PasswordField(_l("Password"), [InputRequired(_l("Type your password.")), Length(max=1000)])


class CodeForm(FlaskForm):  # type: ignore[misc]
    code = StringField(_l("Code"), [InputRequired(_l("Type the code.")), Length(max=40)])


class PasswordForm(FlaskForm):  # type: ignore[misc]
    password = PasswordField(_l("New password"), [InputRequired(_l("Choose a password."))])


@pages.route("/sign-in", methods=["GET", "POST"])
@for_anybody
def sign_in() -> ResponseReturnValue:
    if g.user is not None:
        return redirect(own_path(request.args.get("next")))
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("admin/signing_in/sign_in.html", form=form), 200 if request.method == "GET" else 422
    email, network = form.email.data, request.remote_addr or ""
    try:
        user = signing_in.check_password(email, form.password.data, network)
    except throttle.TooManyAttempts as refused:
        return render_template("admin/signing_in/sign_in.html", form=form, trouble=refused.message), 429
    if user is None:
        _note_failure(email, "password")
        text = _("Address and password do not belong together. Check both, or ask an owner for a new invitation.")
        return render_template("admin/signing_in/sign_in.html", form=form, trouble=text), 422
    wish = own_path(request.args.get("next"))
    if user.has_second_factor:
        session.clear()
        session["half"] = {"user": user.fs_uniquifier, "at": clock.now().timestamp(), "next": wish}
        return redirect(url_for("admin.sign_in_code"))
    return _enter(user, wish, "password")


@pages.route("/sign-in/code", methods=["GET", "POST"])
@for_anybody
def sign_in_code() -> ResponseReturnValue:
    return _second_step("admin/signing_in/sign_in_code.html", two_factor.use_code, two_factor.WRONG)


@pages.route("/sign-in/recovery", methods=["GET", "POST"])
@for_anybody
def sign_in_recovery() -> ResponseReturnValue:
    text = _("This recovery code does not fit, or was used already.")
    return _second_step("admin/signing_in/sign_in_recovery.html", two_factor.use_recovery_code, text)


def _second_step(template: str, use: Any, wrong: str) -> ResponseReturnValue:
    user, wish = _half_way()
    if user is None:
        flash(_("That took longer than ten minutes. Start with your password again."), "warn")
        return redirect(url_for("admin.sign_in"))
    form = CodeForm()
    if not form.validate_on_submit():
        return render_template(template, form=form), 200 if request.method == "GET" else 422
    try:
        throttle.check(user.email, request.remote_addr or "")
    except throttle.TooManyAttempts as refused:
        session.clear()
        return render_template(template, form=form, trouble=refused.message), 429
    with transaction():
        right = use(user, form.code.data)
    if not right:
        _note_failure(user.email, "code")
        form.code.errors = [wrong]
        return render_template(template, form=form), 422
    return _enter(user, wish, use.__name__.removeprefix("use_"))


@pages.post("/sign-out")
@allowed(Permission.look, before_second_factor=True)
def sign_out() -> ResponseReturnValue:
    with transaction():
        kept_sessions.end(g.user_session)
        audit.note(me().actor, "signed_out")
    logout_user()
    session.clear()
    flash(_("You are signed out."), "good")
    response = redirect(url_for("admin.sign_in"))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@pages.route("/invitation/<token>", methods=["GET", "POST"])
@for_anybody
def invitation(token: str) -> ResponseReturnValue:
    invited = invitations.read(token)
    form = PasswordForm()
    if form.validate_on_submit():
        try:
            with transaction():
                user = invitations.accept(token, form.password.data)
        except Invalid as fault:
            put_faults(form, fault)
        else:
            if user.has_second_factor:  # a new password does not stand in for the code (ASVS V6.4.3)
                session.clear()
                session["half"] = {"user": user.fs_uniquifier, "at": clock.now().timestamp(), "next": ""}
                return redirect(url_for("admin.sign_in_code"))
            return _enter(user, url_for("admin.home"), "invitation")
    status = 200 if request.method == "GET" else 422
    return render_template(
        "admin/signing_in/invitation.html", form=form, email=invited.user.email, rules=passwords
    ), status


@pages.route("/account/second-factor", methods=["GET", "POST"])
@allowed(Permission.look, before_second_factor=True)
def set_up_second_factor() -> ResponseReturnValue:
    user = me()
    if user.has_second_factor:
        return redirect(url_for("admin.account"))
    secret = session.setdefault("new_secret", two_factor.new_secret())
    form = CodeForm()
    if form.validate_on_submit():
        try:
            with transaction():
                codes = two_factor.turn_on(user, secret, form.code.data)
                audit.note(user.actor, "user.second_factor_on", "user", user.public_id)
        except Invalid as fault:
            put_faults(form, fault)
        else:
            session.pop("new_secret", None)
            return render_template("admin/signing_in/recovery_codes.html", codes=codes)
    how = two_factor.how_to_set_up(user, secret)
    status = 200 if request.method == "GET" else 422
    return render_template("admin/signing_in/second_factor.html", form=form, how=how), status


@pages.get("/account")
@allowed(Permission.look, before_second_factor=True)
def account() -> ResponseReturnValue:
    return _account(CodeForm())


@pages.post("/account/time-zone")
@allowed(Permission.look, before_second_factor=True)
def save_time_zone() -> ResponseReturnValue:
    wish = request.form.get("time_zone", "")
    if wish not in words.zones():
        abort(400)
    with transaction():
        me().time_zone = wish
    flash(words.zone_words(), "good")
    return redirect(url_for("admin.account"))


@pages.post("/account/recovery-codes")
@allowed(Permission.look)
def new_recovery_codes() -> ResponseReturnValue:
    """New codes only against a fresh code of the app: a borrowed browser is not enough."""
    form, user = CodeForm(), me()
    if form.validate_on_submit():
        try:
            throttle.check(user.email, request.remote_addr or "")
        except throttle.TooManyAttempts as refused:
            form.code.errors = [refused.message]
        else:
            with transaction():
                right = two_factor.use_code(user, form.code.data)
                codes = two_factor.new_recovery_codes(user) if right else []
                if right:
                    audit.note(user.actor, "user.recovery_codes_renewed", "user", user.public_id)
            if right:
                return render_template("admin/signing_in/recovery_codes.html", codes=codes)
            _note_failure(user.email, "code")
            form.code.errors = [two_factor.WRONG]
    return _account(form), 422


@pages.post("/account/sessions/end")
@allowed(Permission.look, before_second_factor=True)
def end_sessions() -> ResponseReturnValue:
    """End the others, keep this one."""
    with transaction():
        for other in kept_sessions.of_user(me()):
            if other.id != g.user_session.id:
                kept_sessions.end(other)
        audit.note(me().actor, "user.sessions_ended", "user", me().public_id)
    flash(_("All other sessions are ended."), "good")
    return redirect(url_for("admin.account"))


def _account(form: CodeForm) -> str:
    return render_template(
        "admin/signing_in/account.html", sessions=kept_sessions.of_user(me()), form=form, zones=words.zones()
    )


def _enter(user: User, wish: str, via: str) -> ResponseReturnValue:
    """Signed in: a session of its own, with nothing left of what the browser held before (no fixation, ASVS V7.2.4)."""
    session.clear()
    user_id = user.id
    with transaction():
        user = db.session.get_one(User, user_id)
        login_user(user, remember=False, authn_via=[via])
        session["token"] = kept_sessions.open_for(user, request.user_agent.string)
        throttle.forget(user.email, request.remote_addr or "")
        audit.note(user.actor, "signed_in", "user", user.public_id, via=via)
    session["seen"] = clock.now().timestamp()
    return redirect(wish or url_for("admin.home"))


def _half_way() -> tuple[User | None, str]:
    half = session.get("half") or {}
    if not half or clock.now().timestamp() - half.get("at", 0) > HALF_WAY:
        return None, ""
    user = db.session.query(User).filter_by(fs_uniquifier=half["user"], active=True).one_or_none()
    return user, own_path(half.get("next"))


def _note_failure(email: str, what: str) -> None:
    with transaction():
        throttle.note_failure(email, request.remote_addr or "")
        audit.note("anonymous", "sign_in_failed", what=what)
