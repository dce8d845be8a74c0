"""GET, POST /c/<token> of a change of address: the owner of the new one confirms, the owner of the old one may take it back (S99)."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from preference_center import signed_links
from preference_center.contacts.models import AddressChange
from preference_center.db import transaction
from preference_center.errors import Conflict
from preference_center.privacy import address_change
from preference_center.privacy.address_change import Step
from preference_center.signed_links import Power
from preference_center.web.guards import DeadLink, Link

CONFIRM, BACK = "address", "address-back"


def is_meant(carries: list[object]) -> bool:
    """Whether a confirm link carries this, and not a sign-up."""
    return len(carries) == 2 and carries[0] in (CONFIRM, BACK) and isinstance(carries[1], str)


def ask(link: Link) -> ResponseReturnValue:
    change, step = _look(link)
    opens = step is Step.asked if link.carries[0] == CONFIRM else step.can_be_taken_back
    return _page(link, change, "ask" if opens else step)


def act(link: Link) -> ResponseReturnValue:
    change, _step = _look(link)
    kind, name = link.carries
    try:
        with transaction():
            if kind == CONFIRM:
                address_change.confirm(link.contact, name)
            else:
                address_change.take_back(link.contact, name)
    except address_change.InUse:
        return _page(link, change, "in_use"), 409
    except Conflict:
        change, step = _look(link)
        return _page(link, change, step if step in (Step.in_force, Step.taken_back) else Step.over), 409
    # Whoever pressed has the mailbox that we write to now, so they may have the way to all choices.
    manage = signed_links.url(Power.manage, [link.contact.public_id, link.contact.link_epoch])
    return _page(link, change, "done", manage=manage)


def _look(link: Link) -> tuple[AddressChange, Step]:
    found = address_change.look(link.contact, link.carries[1])
    if found is None:
        raise DeadLink("This link opens nothing.")
    return found


def _page(link: Link, change: AddressChange, shows: str, **values: object) -> str:
    confirms = link.carries[0] == CONFIRM
    mailbox = change.new_email if confirms else change.old_email
    return render_template(
        "public/managing/new_address.html",
        shows=str(shows),
        confirms=confirms,
        mailbox=mailbox,
        token=link.token,
        pressed=request.method == "POST",
        **values,
    )
