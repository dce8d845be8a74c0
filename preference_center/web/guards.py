"""Who may pass a door: signed links, the anti-forgery value that needs no cookie, and limits per network."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache, wraps
from typing import Any, Protocol, TypeVar

from flask import Flask, abort, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_wtf import FlaskForm
from wtforms.csrf.core import CSRF
from wtforms.fields import Field
from wtforms.validators import ValidationError

from preference_center import embedded, i18n
from preference_center.accounts import throttle
from preference_center.config import Settings
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.contacts.queries import Held
from preference_center.db import db
from preference_center.errors import DomainError, NotFound
from preference_center.signed_links import BadLink, ExpiredLink, Power, ring

limiter = Limiter(lambda: throttle.whole(request.remote_addr or ""), headers_enabled=False, swallow_errors=True)


def init(app: Flask) -> None:
    settings: Settings = app.extensions["settings"]
    app.config.update(
        RATELIMIT_STORAGE_URI=_storage(embedded.redis_url(settings)),
        RATELIMIT_STORAGE_OPTIONS={"socket_timeout": 1, "socket_connect_timeout": 1},
        # Without Redis each process counts for itself: weaker, but no page ever fails for it.
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
    )
    limiter.init_app(app)


def _storage(redis_url: str) -> str:
    return redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url


class DeadLink(DomainError):
    """A link that opens nothing: forged, cut off, too old, ended, or of somebody we do not know. One answer for all."""


@dataclass(frozen=True)
class Link:
    """A genuine link: the power it has, the contact it was made for, and the rest of what it carries."""

    power: Power
    token: str
    held: Held
    carries: list[Any]

    @cached_property
    def contact(self) -> Contact:
        """Read when it is first needed, so inside the transaction if that is where it is."""
        return contacts.by_public_id(self.held.public_id)

    def hold(self) -> Contact:
        """The contact, held for a change and as they stand now. DeadLink when the link ended while it waited for them."""
        contacts.lock([self.contact.id], for_withdrawal=True)
        db.session.refresh(self.contact)
        known(lambda _public_id: self.contact, self.power, [self.held.public_id, *self.carries])
        return self.contact


class Known(Protocol):
    """Whoever a link was made for, however they were looked up."""

    @property
    def link_epoch(self) -> int: ...

    @property
    def erased_at(self) -> datetime | None: ...


_Found = TypeVar("_Found", bound=Known)
_View = Callable[..., ResponseReturnValue]


def signed_link(power: Power) -> Callable[[_View], _View]:
    """The view takes a Link in place of the token, and speaks the contact's language."""

    def dress(view: _View) -> _View:
        @wraps(view)
        def guarded(token: str, **more: str) -> ResponseReturnValue:
            link = open_link(power, token)
            i18n.speak(i18n.best(request.args.get("lang"), link.held.language))
            return view(link, **more)

        return guarded

    return dress


def open_link(power: Power, token: str) -> Link:
    """DeadLink when it opens nothing. ExpiredLink is only let through for `confirm`, whose page explains it."""
    held, carries = open_with(contacts.held, power, token)
    return Link(power, token, held, carries)


def open_with(find: Callable[[str], _Found], power: Power, token: str) -> tuple[_Found, list[Any]]:
    """The same by a look-up of one's own (NotFound when there is nobody): what it found, and the rest of what the link carries."""
    return known(find, power, payload_of(power, token))


def payload_of(power: Power, token: str) -> list[Any]:
    """What the token says; nothing when it is not one of ours."""
    try:
        return ring().read(power, token)
    except ExpiredLink:
        if power is Power.confirm:
            raise
    except BadLink:
        pass
    return []


def known(find: Callable[[str], _Found], power: Power, payload: list[Any]) -> tuple[_Found, list[Any]]:
    """Whom it was made for. The look-up is made for a forged one too, so that both answers take the same time (S41)."""
    public_id = payload[0] if payload and isinstance(payload[0], str) else "-"
    try:
        found = find(public_id)
    except NotFound:
        raise DeadLink("This link opens nothing.") from None
    if power in (Power.manage, Power.view) and (found.erased_at is not None or payload[1:2] != [found.link_epoch]):
        raise DeadLink("This link opens nothing.")
    return found, payload[1:]


class _LinkProof(CSRF):  # type: ignore[misc]
    """The anti-forgery value of a form behind a signed link: derived from the link, so it works without cookies."""

    def setup_form(self, form: Any) -> Any:
        self.token = form.meta.csrf_context
        return super().setup_form(form)

    def generate_csrf_token(self, csrf_token_field: Field) -> str:
        return proof(self.token)

    def validate_csrf_token(self, form: Any, field: Field) -> None:
        if not hmac.compare_digest((field.data or "").encode(), proof(self.token).encode()):
            raise ValidationError("This form was not made by the page behind this link.")


class LinkForm(FlaskForm):  # type: ignore[misc]
    """A form on the page of a signed link: `LinkForm(link)`."""

    class Meta:
        csrf = True
        csrf_class = _LinkProof
        csrf_field_name = "proof"

    def __init__(self, link: Link) -> None:
        super().__init__(meta={"csrf_context": link.token})


def proof(token: str) -> str:
    """What only the page behind this link can know."""
    proving = _begun(current_app.extensions["settings"].secret_key).copy()
    proving.update(token.encode())
    return proving.hexdigest()[:32]


@lru_cache(maxsize=1)
def _begun(key: str) -> hmac.HMAC:
    return hmac.new(key.encode(), b"pc.proof.v1", hashlib.sha256)


def refuse_other_sites() -> None:
    """Second layer against forged posts (ASVS V3.5): browsers say where a request comes from."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        abort(403)


def network() -> str:
    """Where the request comes from, as evidence."""
    g.setdefault("network", request.remote_addr or "")
    return str(g.network)
