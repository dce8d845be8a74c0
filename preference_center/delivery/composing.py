"""Builds the finished message of one contact: rendered text, all the headers of `contract.md` 5, DKIM signatures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from email.utils import format_datetime
from functools import lru_cache

from flask import current_app
from flask_babel import force_locale, format_date, gettext

from preference_center import clock, i18n, providers, signed_links
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.campaigns.rendering import content, following, imprints
from preference_center.config import Settings
from preference_center.delivery import marks
from preference_center.delivery.claimed import Claimed
from preference_center.delivery.marks import Place
from preference_center.mail import dkim, mime, signing
from preference_center.mail.outcomes import Envelope
from preference_center.signed_links import Power
from preference_center.topics.models import Topic

_A_MARK = "00-" + "0" * 20  # stands where each message's own mark goes, which the provider brings back with its events


class UnwritableAddress(Exception):
    """No message can be addressed to this contact. The words hold nothing of the address."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What is the same for all contacts of one language."""

    topic: str
    spoken: content.Spoken
    offers_browser: bool
    frame: mime.Frame


@dataclass(frozen=True, slots=True)
class Written:
    """A mail of one contact, all but its signature."""

    key: int
    sender: str
    recipient: str
    head: bytes
    frame: mime.Frame
    text: bytes
    html: bytes
    signers: dkim.Signers | None

    def envelope(self) -> Envelope:
        """Signed, if mail is signed here. With RSA that takes several times as long as the writing."""
        if self.signers is None:
            data = self.frame.around(self.head, self.text, self.html)
        else:
            body = self.frame.body(self.text, self.html)
            data = self.signers.sign_parts(self.head, self.frame.rest_of_head, body)
        return Envelope(self.key, self.sender, self.recipient, data, dotless=True)


class Composer:
    """Made once a run: everything that is the same for many contacts is prepared here and in its forms, one a language.

    ValueError where the settings make no sender's address.
    """

    def __init__(self, campaign: Campaign, version: CampaignVersion, topic: Topic) -> None:
        self.settings: Settings = current_app.extensions["settings"]
        self.renderer = content.renderer(version)
        self.campaign_ref = campaign.public_id
        self.topic_key = topic.key
        self.imprint = imprints.of(version, topic)
        self.signers = signing.signers(self.settings)
        self.domain = self.settings.sending_domain
        self.bounce_domain = self.settings.bounce_domain or self.domain
        mime.envelope_address(f"bounce@{self.bounce_domain}")
        self.unsubscribe_mailbox = self.settings.unsubscribe_mailbox or f"unsubscribe@{self.domain}"
        fixed = [
            ("From", mime.mailbox(self.settings.from_name, self.settings.from_address)),
            ("List-Id", f"{mime.phrase(self.imprint.topic_name())} <{topic.key}.{self.domain}>"),
            ("List-Help", f"<{self.settings.public_url}/link>"),
            ("List-Post", "NO"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("Feedback-ID", f"{campaign.public_id}:{topic.key}:campaign:{sender_id(self.domain)}"),
        ]
        if self.settings.complaints_to:
            fixed.append(("CFBL-Address", f"{self.settings.complaints_to}; report=arf"))
        self.fixed = mime.header_lines(fixed)
        carrier = self.settings.relay_provider
        self.for_carrier = mime.header_lines(providers.named(carrier).correlation(_A_MARK)) if carrier else b""
        self._unsubscribe_url, self._preferences_url, self._browser_url = (
            signed_links.writer(power) for power in (Power.unsub, Power.manage, Power.view)
        )
        self._marks = marks.maker(Place.return_path, Place.unsubscribe, Place.message_id)
        local, _, host = self.unsubscribe_mailbox.rpartition("@")
        self._mailto = f"mailto:{local}+", f"@{host}"
        self._forms: dict[str, _Form] = {}
        self._date = (0, "")

    def write(self, claimed: Claimed) -> Written:
        """The mail for one contact. RenderError when the content cannot be rendered for them; UnwritableAddress."""
        try:
            recipient = mime.mailbox("", claimed.email)
        except ValueError as fault:
            raise UnwritableAddress(str(fault)) from None
        form = self._forms.get(claimed.language) or self._form(claimed.language)
        unsubscribe = self._unsubscribe_url([claimed.public_id, self.topic_key, claimed.id])
        own = content.own_fields(
            email=claimed.email,
            why=why(
                claimed.language, form.topic, claimed.consent_source, claimed.consent_at and claimed.consent_at.date()
            ),
            unsubscribe_url=unsubscribe,
            preferences_url=self._preferences_url([claimed.public_id, claimed.link_epoch]),
            browser_url=self._seen_at(claimed) if form.offers_browser else "",
        )
        mail = form.spoken.encode(claimed.attributes, own, ways=self._ways(claimed.follow) if claimed.follow else None)
        return_path, unsubscribe_mark, message_id = self._marks(claimed.id)
        head = (
            f"{_to_line(recipient)}\r\n{_subject_line(mail.subject)}\r\nDate: {self._now()}\r\n"
            f"Message-ID: <{message_id}@{self.domain}>\r\nList-Unsubscribe: <{unsubscribe}>,\r\n"
            f" <{unsubscribe_mark.join(self._mailto)}>\r\n"
        ).encode() + self._for_carrier(claimed.id)
        sender = f"bounce+{return_path}@{self.bounce_domain}"
        return Written(claimed.id, sender, claimed.email, head, form.frame, mail.text, mail.html, self.signers)

    def _seen_at(self, claimed: Claimed) -> str:
        return self._browser_url([claimed.public_id, claimed.link_epoch, claimed.id])

    def _ways(self, name: str) -> dict[str, str]:
        """Where links and image lead in the mail of who agreed to be seen."""
        return {
            following.CLICK: f"{self.settings.public_url}/r/{name}-",
            following.OPEN: f"{self.settings.public_url}/o/{name}.gif",
        }

    def _for_carrier(self, message_id: int) -> bytes:
        """The provider's own header lines, by which its events bring our mark back."""
        if not self.for_carrier:
            return b""
        return self.for_carrier.replace(_A_MARK.encode(), marks.make(message_id, Place.metadata).encode())

    def _now(self) -> str:
        now = clock.now()
        second = int(now.timestamp())
        if self._date[0] != second:
            self._date = second, format_datetime(now)
        return self._date[1]

    def _form(self, language: str) -> _Form:
        spoken = mime.header_lines([("Content-Language", i18n.best(language))])
        speech = self.renderer.spoken(language, self.imprint)
        made = _Form(
            self.imprint.topic_name(language),
            speech,
            "browser_url" in speech.names,
            mime.Frame(f"=_{self.campaign_ref}", spoken + self.fixed),
        )
        if len(self._forms) < _FORMS:  # a language tag comes from outside
            self._forms[language] = made
        return made


_FORMS = 64


def _to_line(recipient: str) -> str:
    return f"To: {recipient}" if recipient.isascii() else mime.encode_header("To", recipient)


@lru_cache(maxsize=8192)
def _subject_line(subject: str) -> str:
    return mime.encode_header("Subject", subject)


@lru_cache(maxsize=4096)
def why(language: str, topic: str, source: str | None, on: date | None) -> str:
    """Why this person gets this mail, with the date and source of their consent (GDPR 14(2)(f))."""
    with force_locale(i18n.best(language).replace("-", "_")):
        sources: Mapping[str, str] = {
            "form": gettext("through our sign-up form"),
            "link": gettext("on your preference page"),
            "import": gettext("as recorded before we moved to this system"),
            "admin": gettext("as you told us"),
        }
        if on is None:
            return str(gettext("You get this email because you follow %(topic)s.", topic=topic))
        words = gettext(
            "You get this email because you agreed to %(topic)s on %(day)s, %(source)s.",
            topic=topic,
            day=format_date(on, "long"),
            source=sources.get(source or "", gettext("as recorded")),
        )
        return str(words)


def sender_id(domain: str) -> str:
    """The SenderId of Feedback-ID: 5 to 15 characters, the same in all our mail (Gmail's feedback loop)."""
    letters = "".join(char for char in domain if char.isalnum())
    return f"pc{letters}"[:15].ljust(5, "0")
