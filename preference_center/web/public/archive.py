"""GET /archive/…: what was sent on public topics, with an Atom feed; GET /v/<token>: a mail in the browser as its reader got it.

A mail stands in a frame of its own that runs nothing and sends nothing along; its links open beside it.
"""

import contextlib
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from babel.dates import format_date
from flask import Response, make_response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _

from preference_center import clock, i18n
from preference_center.campaigns import archive, timing
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.campaigns.rendering.content import Rendered, RenderError
from preference_center.delivery.results import viewing
from preference_center.errors import NotFound
from preference_center.signed_links import Power
from preference_center.topics.models import Topic
from preference_center.web.guards import DeadLink, Link, signed_link
from preference_center.web.headers import PUBLIC_POLICY
from preference_center.web.public import pages

PAGE_POLICY = f"{PUBLIC_POLICY}; frame-src 'self'"
# As in the console's preview: no script, no form. Links open in a window of their own; images come from where the mail says.
MAIL_POLICY = (
    "default-src 'none'; sandbox allow-popups allow-popups-to-escape-sandbox; style-src 'unsafe-inline'; img-src https: data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'"
)
_ATOM = "http://www.w3.org/2005/Atom"


@pages.get("/archive/")
def archive_topics() -> ResponseReturnValue:
    return render_template("public/archive.html", topics=archive.topics())


@pages.get("/archive/<key>")
def archive_topic(key: str) -> ResponseReturnValue:
    topic = archive.topic_with(key)
    rows = [(campaign, subject, _day(campaign)) for campaign, subject in _listed(topic)]
    return render_template("public/archive_topic.html", topic=topic, rows=rows)


@pages.get("/archive/<key>/feed.xml")
def archive_feed(key: str) -> Response:
    topic = archive.topic_with(key)
    response = make_response(_feed(topic, _listed(topic, limit=20)))
    response.mimetype = "application/atom+xml"
    return response


@pages.get("/archive/<key>/<issue>")
def archive_issue(key: str, issue: str) -> ResponseReturnValue:
    topic = archive.topic_with(key)
    campaign, version = archive.one(topic, issue)
    frame = url_for("public.archive_mail", key=key, issue=issue, lang=i18n.chosen_language())
    page = render_template(
        "public/archive_mail.html", subject=_subject(topic, version), topic=topic, day=_day(campaign), frame=frame
    )
    return _framing(page)


@pages.get("/archive/<key>/<issue>/mail")
def archive_mail(key: str, issue: str) -> Response:
    topic = archive.topic_with(key)
    _campaign, version = archive.one(topic, issue)
    return _framed(_public(topic, version))


@pages.get("/v/<token>")
@signed_link(Power.view)
def view_mail(link: Link) -> ResponseReturnValue:
    seen = _theirs(link)
    frame = url_for("public.view_mail_itself", token=link.token)
    return _framing(render_template("public/archive_mail.html", subject=seen.subject, topic=None, day="", frame=frame))


@pages.get("/v/<token>/mail")
@signed_link(Power.view)
def view_mail_itself(link: Link) -> Response:
    return _framed(_theirs(link))


def _theirs(link: Link) -> Rendered:
    """The answer is the same for a mail that never was, one that is not theirs, and one of somebody who was erased."""
    try:
        return viewing.seen_by(link.contact, int(link.carries[1]))
    except (NotFound, RenderError, ValueError, TypeError, IndexError):
        raise DeadLink("This link opens nothing.") from None


def _public(topic: Topic, version: CampaignVersion) -> Rendered:
    words = _(
        "This is a public copy of an email to those who follow %(topic)s.", topic=topic.name(i18n.current_language())
    )
    try:
        return archive.page(topic, version, i18n.current_language(), str(words))
    except RenderError:
        raise NotFound("There is nothing here.") from None


def _listed(topic: Topic, **limits: int) -> Iterator[tuple[Campaign, str]]:
    """The issues with their subjects; one that says nothing to who is no contact is left out, and the others stay."""
    for campaign, version in archive.of(topic, **limits):
        with contextlib.suppress(NotFound):
            yield campaign, _subject(topic, version)


def _subject(topic: Topic, version: CampaignVersion) -> str:
    return _public(topic, version).subject


def _day(campaign: Campaign) -> str:
    at = campaign.started_at or campaign.updated_at
    return format_date(at.astimezone(timing.home()).date(), "long", locale=get_locale())


def _framing(page: str) -> Response:
    response = make_response(page)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def _framed(mail: Rendered) -> Response:
    response = make_response(mail.html.replace("<head>", '<head><base target="_blank">', 1))
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _feed(topic: Topic, issues: Iterable[tuple[Campaign, str]]) -> bytes:
    """Atom (RFC 4287). An issue's id never changes, wherever the site moves."""
    issues = list(issues)
    ElementTree.register_namespace("", _ATOM)
    here = url_for("public.archive_feed", key=topic.key, _external=True)
    feed = ElementTree.Element(f"{{{_ATOM}}}feed")
    newest = max((campaign.finished_at or campaign.updated_at for campaign, _ in issues), default=clock.now())
    _add(feed, "id", here)
    _add(feed, "title", topic.name(i18n.current_language()))
    _add(feed, "updated", newest.isoformat())
    _add(feed, "link", rel="self", href=here)
    _add(_add(feed, "author"), "name", topic.name(i18n.current_language()))
    for campaign, subject in issues:
        entry = _add(feed, "entry")
        _add(entry, "id", f"urn:preference-center:campaign:{campaign.public_id}")
        _add(entry, "title", subject)
        _add(entry, "updated", (campaign.finished_at or campaign.updated_at).isoformat())
        _add(entry, "published", (campaign.started_at or campaign.updated_at).isoformat())
        _add(
            entry, "link", href=url_for("public.archive_issue", key=topic.key, issue=campaign.public_id, _external=True)
        )
    return bytes(ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True))


def _add(inside: ElementTree.Element, name: str, text: str = "", **attributes: str) -> ElementTree.Element:
    made = ElementTree.SubElement(inside, f"{{{_ATOM}}}{name}", attributes)
    made.text = text or None
    return made
