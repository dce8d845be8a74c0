"""The users, for owners: who works here, in which role, and the invitations that let them in."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, RadioField
from wtforms.validators import InputRequired, Length

from preference_center.accounts import audit, invitations, queries
from preference_center.accounts import sessions as kept_sessions
from preference_center.accounts.permissions import Permission, Role
from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.web.admin.gate import allowed, me, pages
from preference_center.web.admin.words import options, put_faults


class InviteForm(FlaskForm):  # type: ignore[misc]
    email = EmailField(_l("Email address"), [InputRequired(_l("Type an email address.")), Length(max=254)])
    role = RadioField(
        _l("Role"),
        choices=options(
            [
                (Role.viewer.value, _l("Viewer: looks at campaigns and reports, sees no addresses")),
                (Role.marketer.value, _l("Marketer: imports, writes and sends")),
                (Role.owner.value, _l("Owner: all of it, and invites users")),
            ]
        ),
        default=Role.viewer.value,
        validate_choice=True,
    )


@pages.route("/users", methods=["GET", "POST"])
@allowed(Permission.manage_users)
def users() -> ResponseReturnValue:
    form = InviteForm()
    if form.validate_on_submit():
        try:
            with transaction():
                _refuse_oneself(form.email.data)
                invited = invitations.invite(form.email.data, form.role.data, actor=me().actor)
        except Invalid as fault:
            put_faults(form, fault)
        else:
            return render_template(
                "admin/signing_in/invited.html", email=invited.user.email, role=invited.user.role, url=invited.url
            )
    status = 200 if request.method == "GET" else 422
    return render_template("admin/users.html", users=queries.everyone(), form=form), status


@pages.post("/users/<public_id>/<any(close,open):what>")
@allowed(Permission.manage_users)
def close_user(public_id: str, what: str) -> ResponseReturnValue:
    """Close an account and end its sessions, or let it in again. Never one's own: somebody must be left to undo it."""
    with transaction():
        user = queries.by_public_id(public_id)
        _refuse_oneself(user.email)
        user.active = what == "open"
        if not user.active:
            kept_sessions.end_all(user)
        audit.note(me().actor, f"user.{what}", "user", public_id)
    flash(_("The account is open again.") if what == "open" else _("The account is closed, everywhere."), "good")
    return redirect(url_for("admin.users"))


def _refuse_oneself(email: str) -> None:
    if queries.by_email(email) == me():
        words = _("Ask another owner, or use the command line, for your own account.")
        raise Invalid(words, {"email": words})
