"""Events: what came back of our mail; what waits for a person, and what could not be read."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms import SelectField

from preference_center import clock, providers
from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.db import transaction
from preference_center.delivery.events import queries as events
from preference_center.delivery.events import releasing
from preference_center.delivery.events.models import SITE, Effect
from preference_center.providers.base import Kind
from preference_center.web.admin.contacts import shown
from preference_center.web.admin.gate import allowed, me, pages, whole_number
from preference_center.web.admin.words import options
from preference_center.webhooks import mailbox, processing, queries

PAGE = 50
FEW = 20  # posts and letters

KINDS: dict[str, Any] = {
    Kind.accepted: _l("Accepted"),
    Kind.delivered: _l("Delivered"),
    Kind.deferred: _l("Deferred"),
    Kind.bounced: _l("Came back"),
    Kind.rejected: _l("Not tried"),
    Kind.complained: _l("Reported as spam"),
    Kind.unsubscribed: _l("Unsubscribed"),
    Kind.provider_reactivated: _l("Allowed again at the provider"),
    Kind.opened: _l("Opened"),
    Kind.clicked: _l("Clicked"),
    Kind.auto_replied: _l("Automatic reply"),
    Kind.unknown: _l("Unknown"),
}
EFFECTS: dict[str, Any] = {
    Effect.applied: _l("done"),
    Effect.waiting: _l("waits for its message"),
    Effect.unmatched: _l("about no mail of ours"),
    Effect.held: _l("held back"),
}
_OWN = {mailbox.SOURCE: _l("Mailbox"), SITE: _l("Our own links")}


class EventFilter(FlaskForm):  # type: ignore[misc]
    kind = SelectField(_l("Kind"), default="")
    source = SelectField(_l("From"), default="")
    effect = SelectField(_l("What came of it"), default="")

    def __init__(self) -> None:
        super().__init__(formdata=request.args, meta={"csrf": False})
        self.kind.choices = options([("", _("All")), *KINDS.items()])
        self.source.choices = options([("", _("All")), *_OWN.items(), *((name, name) for name in providers.names())])
        self.effect.choices = options([("", _("All")), *EFFECTS.items()])
        for field in (self.kind, self.source, self.effect):
            if field.data not in [choice.value for choice in field.choices]:
                field.data = ""


@pages.get("/events")
@allowed(Permission.look)
def events_list() -> ResponseReturnValue:
    form = EventFilter()
    rows = events.newest(
        source=form.source.data or None,
        kind=Kind(form.kind.data) if form.kind.data else None,
        effect=Effect(form.effect.data) if form.effect.data else None,
        before=whole_number(request.args.get("before")),
        limit=PAGE + 1,
    )
    return render_template(
        "admin/events.html",
        form=form,
        rows=[(event, contact, contact and shown(contact), campaign) for event, contact, campaign in rows[:PAGE]],
        following=rows[PAGE - 1][0].id if len(rows) > PAGE else None,
        chosen={name: value for name, value in form.data.items() if value},
        standing=queries.standing(),
        lately=events.tally(clock.now() - queries.LATELY),
        unread=queries.unread(FEW),
        letters=mailbox.for_a_person(FEW),
        kinds=KINDS,
        effects=EFFECTS,
        own=_OWN,
    )


@pages.post("/events/release")
@allowed(Permission.handle_events)
def release_events() -> ResponseReturnValue:
    """Some of the held ones at a press, so that nobody waits long for the answer."""
    source, dropped = request.form.get("source", "")[:20], request.form.get("drop") == "yes"
    with transaction():
        count = (releasing.drop if dropped else releasing.let_act)(source)
        audit.note(me().actor, f"events.{'drop' if dropped else 'release'}", source=source, kind="", count=count)
    left = releasing.held(source)
    words = (
        ngettext("%(num)s event stays without effect.", "%(num)s events stay without effect.", count)
        if dropped
        else ngettext("%(num)s event has taken effect.", "%(num)s events have taken effect.", count)
    )
    more = ngettext("%(num)s more waits.", "%(num)s more wait.", left) if left else ""
    flash(f"{words} {more}".strip(), "good")
    return redirect(url_for("admin.events_list"))


@pages.post("/events/posts/<public_id>/again")
@allowed(Permission.handle_events)
def read_post_again(public_id: str) -> ResponseReturnValue:
    with transaction():
        post = queries.by_public_id(public_id)
        processing.read_again(post)
        audit.note(me().actor, "events.replay", "post", public_id, provider=post.provider, posts=1)
    flash(_("It is read again in a moment."), "good")
    return redirect(url_for("admin.events_list"))


@pages.post("/events/letters/<public_id>")
@allowed(Permission.see_addresses)
def read_letter(public_id: str) -> ResponseReturnValue:
    """A file for a mail program: what strangers wrote is never shown as a page. Posted, since it is written down who read it."""
    with transaction():
        raw = mailbox.raw_of(public_id)
        audit.note(me().actor, "post.read", "post", public_id)
    name = {"Content-Disposition": f'attachment; filename="{public_id}.eml"'}
    return raw, 200, {"Content-Type": "message/rfc822"} | name
