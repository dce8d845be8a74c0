"""GET, POST /c/<token>: confirms a sign-up. Scanners may open the page as often as they like; only the button confirms."""

from dataclasses import replace
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from preference_center import i18n, signed_links
from preference_center.db import transaction
from preference_center.preferences import confirmation
from preference_center.preferences.confirmation import Wish, WishState
from preference_center.signed_links import ExpiredLink, Power
from preference_center.web.guards import DeadLink, Link, signed_link
from preference_center.web.public import acts, pages
from preference_center.web.public.managing import new_address


@pages.get("/c/<token>")
@signed_link(Power.confirm)
def confirm(link: Link) -> ResponseReturnValue:
    if new_address.is_meant(link.carries):
        return new_address.ask(link)
    wish = _wish(link)
    template = "confirm" if wish.state is WishState.waiting else "confirm_over"
    return _page(template, link, wish)


@pages.post("/c/<token>")
@signed_link(Power.confirm)
def confirmed(link: Link) -> ResponseReturnValue:
    if new_address.is_meant(link.carries):
        return new_address.act(link)
    wish = _wish(link)
    with transaction():
        made = confirmation.confirm(link.hold(), link.carries[0], acts.evidence("form"))
    if not made:
        return _page("confirm_over", link, _wish(link))
    # The mailbox has just been proven, so its owner may have the way to all choices.
    manage = signed_links.url(Power.manage, [link.contact.public_id, link.contact.link_epoch])
    on = {record.topic_id for record in made}
    wish = replace(wish, topics=[topic for topic in wish.topics if topic.id in on])
    return _page("confirmed", link, wish, manage=manage)


def explain_expired(expired: ExpiredLink) -> ResponseReturnValue:
    changes_address = new_address.is_meant(expired.payload[1:])
    return render_template("public/confirm_expired.html", changes_address=changes_address), 410


def _wish(link: Link) -> Wish:
    name = link.carries[0] if len(link.carries) == 1 else None
    wish = confirmation.look(link.contact, name) if isinstance(name, str) else None
    if wish is None:
        raise DeadLink("This link opens nothing.")
    return wish


def _page(template: str, link: Link, wish: Wish, **values: Any) -> str:
    return render_template(
        f"public/{template}.html",
        wish=wish,
        token=link.token,
        contact=link.contact,
        names=[topic.name(i18n.current_language()) for topic in wish.topics if topic.purpose.mails],
        besides=[topic.name(i18n.current_language()) for topic in wish.topics if not topic.purpose.mails],
        **values,
    )
