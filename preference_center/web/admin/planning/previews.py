"""Looking at a mail before it goes: as a mailbox shows it, locked into a frame, and as a test in a colleague's mailbox."""

from typing import Any

from flask import Response, abort, current_app, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center import clock
from preference_center.accounts import audit
from preference_center.accounts import queries as users
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import audience, blanks, experiments, queries
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.campaigns.rendering import content
from preference_center.consent.eligibility import Reason
from preference_center.contacts import queries as contacts
from preference_center.contacts.addresses import mask
from preference_center.contacts.models import Contact
from preference_center.db import TimeUp, at_most, db, transaction
from preference_center.delivery import testing
from preference_center.delivery.results import reach
from preference_center.errors import DomainError
from preference_center.i18n import LANGUAGES
from preference_center.topics.models import Topic
from preference_center.web.admin.contacts import shown
from preference_center.web.admin.gate import allowed, me, pages, whole_number

PAGE = 50
PATIENCE = 5.0  # seconds for finding them among very many
VIEWS = ("desktop", "phone", "dark", "text")
# What mailboxes do that turn every mail dark by themselves: light becomes dark, pictures stay as they are. The ground is turned with
# the rest: white, as a mailbox has it, for a mail that sets none of its own.
DARK = (
    "<style>html{background:#fff;filter:invert(1) hue-rotate(180deg)}img{filter:invert(1) hue-rotate(180deg)}</style>"
)
# What a marketer wrote runs nowhere: no script, no form, no link out of the frame; images of other hosts only when asked for.
FRAME_POLICY = (
    "default-src 'none'; sandbox; style-src 'unsafe-inline'; img-src {images}; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; require-trusted-types-for 'script'"
)


@pages.get("/campaigns/<public_id>/preview")
@allowed(Permission.look)
def preview(public_id: str) -> ResponseReturnValue:
    campaign, version = _content(public_id)
    view = request.args.get("view") if request.args.get("view") in VIEWS else "desktop"
    language, whose = _language(), _whose()
    letter, looked_at = _tried(version)
    audience_ = audience_of(campaign, version)
    some, empty = ([], []) if audience_["trouble"] else people(version, audience_["topic"])
    return render_template(
        "admin/planning/preview.html",
        campaign=campaign,
        version=version,
        view=view,
        language=language,
        images="images" in request.args,
        letters=experiments.letters(version),
        letter=letter,
        preheader=looked_at.preheader,
        seen=content.preview(looked_at, whose, None if whose else language),
        whose=whose,
        people=[(one, shown(one)) for one in some],
        empty=empty,
        sender=current_app.extensions["settings"].mail_from,
        colleagues=users.colleagues() if me().may(Permission.write_campaigns) else [],
        **audience_,
    )


@pages.get("/campaigns/<public_id>/preview/mail")
@allowed(Permission.look)
def preview_mail(public_id: str) -> Response:
    _campaign, version = _content(public_id)
    whose = _whose()
    html = content.preview(_tried(version)[1], whose, None if whose else _language()).html
    if request.args.get("view") == "dark":
        html = html.replace("</head>", f"{DARK}</head>", 1)
    response = make_response(html)
    images = "https: data:" if "images" in request.args else "data:"
    response.headers["Content-Security-Policy"] = FRAME_POLICY.format(images=images)
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


@pages.post("/campaigns/<public_id>/test")
@allowed(Permission.write_campaigns)
def send_test(public_id: str) -> ResponseReturnValue:
    """To colleagues alone: a test send is no way around consent."""
    _campaign, version = _content(public_id)
    chosen = set(request.form.getlist("to"))
    colleagues = [user for user in users.colleagues() if user.public_id in chosen]
    if not colleagues:
        flash(_("Nobody was chosen: say who gets the test."), "bad")
        return redirect(url_for("admin.preview", public_id=public_id))
    language, (_letter, looked_at) = _language(), _tried(version)
    addresses = [user.email for user in colleagues]
    db.session.rollback()  # the relay may take its time; no transaction waits for it
    try:
        for address in addresses:
            testing.send_test(looked_at, address, language=language)
    except DomainError as trouble:
        flash(trouble.message, "bad")
    else:
        with transaction():
            audit.note(me().actor, "campaign.test_sent", "campaign", public_id, colleagues=len(addresses))
        flash(_("The test is on its way to %(people)s.", people=", ".join(addresses)), "good")
    return redirect(url_for("admin.preview", public_id=public_id))


@pages.get("/campaigns/<public_id>/refused/<reason>")
@allowed(Permission.look)
def refused(public_id: str, reason: str) -> ResponseReturnValue:
    """The people behind a step of the funnel, before it goes; afterwards the report has them."""
    campaign, version = _content(public_id)
    if campaign.started_at is not None:
        return redirect(url_for("admin.people", public_id=public_id, state="skipped", reason=reason))
    if reason not in list(Reason):
        abort(404)
    topic = db.session.get_one(Topic, campaign.topic_id)
    after = whole_number(request.args.get("after")) or 0
    try:
        with at_most(PATIENCE):
            found = audience.refused(
                version, topic, clock.now(), Reason(reason), reach.condition(version), after, PAGE + 1
            )
    except TimeUp:
        found = None
    return render_template(
        "admin/planning/refused.html",
        campaign=campaign,
        reason=reason,
        people=found and [(one, shown(one)) for one in found[:PAGE]],
        following=found[PAGE - 1].id if found and len(found) > PAGE else None,
    )


def audience_of(campaign: Campaign, version: CampaignVersion) -> dict[str, Any]:
    """Who gets it, by the rule that counts, and why not more; where that cannot be read any more, its fault.

    Of a campaign that has started there is nothing to foretell: its figures say who got it.
    """
    topic = db.session.get_one(Topic, campaign.topic_id)
    found: dict[str, Any] = {"topic": topic, "funnel": None, "rule": "", "trouble": ""}
    try:
        found["rule"] = audience.rule(version)
        if campaign.started_at is None:
            also = reach.condition(version) if version.audience else None
            found["funnel"] = audience.funnel(topic, found["rule"], clock.now(), also)
    except DomainError as fault:
        found["trouble"] = fault.message
    return found


def _content(public_id: str) -> tuple[Campaign, CampaignVersion]:
    """The campaign with the version that is or will be sent: the approved one, else the newest."""
    campaign = queries.by_public_id(public_id)
    return campaign, queries.version(campaign, campaign.approved_version)


def _tried(version: CampaignVersion) -> tuple[str, CampaignVersion]:
    """Of an experiment the content that was asked for, else the first."""
    wish = request.values.get("content", "")
    letter = wish if wish in list(experiments.letters(version)) else experiments.LETTERS[0]
    return letter, experiments.named(version, letter)


def _language() -> str:
    wish = request.values.get("language", "en")
    return wish if wish in LANGUAGES else "en"


def people(version: CampaignVersion, topic: Topic) -> tuple[list[Contact], list[blanks.Blank]]:
    """Some of those who get it, and at least one for whom a field is empty."""
    now, also = clock.now(), reach.condition(version)
    empty = blanks.of(version, topic, now, also)
    some = blanks.samples(version, topic, now, also)
    for blank in empty[:1]:
        if all(one.public_id != blank.example for one in some):
            some.append(contacts.by_public_id(blank.example))
    return some, empty


def _whose() -> Contact | None:
    """The contact to see it as, by public id."""
    wish = request.args.get("as", "")
    if not wish:
        return None
    return seen_as(contacts.by_public_id(wish))


def seen_as(found: Contact) -> Contact:
    """The contact as this user may see them: everything masked for whoever may not see addresses."""
    if me().may(Permission.see_addresses):
        return found
    hidden = {key: _masked(value) for key, value in found.attributes.items()}
    return Contact(email=mask(found.email), language=found.language, attributes=hidden, public_id=found.public_id)


def _masked(value: Any) -> Any:
    """An attribute of whatever kind: a longer text by its first sign. What is empty stays so, and shows what stands in for it."""
    if value in ("", [], None):
        return value
    return f"{value[0]}•••" if isinstance(value, str) and len(value) > 1 else "•••"
