"""Builds the finished message of one contact: rendered text, all the headers of `contract.md` 5, DKIM signatures."""

from collections.abc import Mapping
from datetime import date
from email.utils import format_datetime
from functools import lru_cache

from flask import current_app
from flask_babel import force_locale, format_date, gettext

from preference_center import clock, i18n, signed_links
from preference_center.campaigns import content
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.config import Settings
from preference_center.delivery import marks
from preference_center.delivery.chunks import Claimed
from preference_center.delivery.marks import Place
from preference_center.mail import mime, signing
from preference_center.mail.outcomes import Envelope
from preference_center.signed_links import Power
from preference_center.topics.models import Topic


class UnwritableAddress(Exception):
    """No message can be addressed to this contact. The words hold nothing of the address."""


class Composer:
    """Made once a run: everything that is the same for all contacts is prepared here."""

    def __init__(self, campaign: Campaign, version: CampaignVersion, topic: Topic) -> None:
        self.settings: Settings = current_app.extensions["settings"]
        self.renderer = content.renderer(version)
        self.campaign_ref = campaign.public_id
        self.topic_key = topic.key
        self.topic_names = {text.language: text.name for text in topic.texts}
        self.topic_name = topic.name()
        self.signers = signing.signers(self.settings)
        self.domain = self.settings.sending_domain
        self.bounce_domain = self.settings.bounce_domain or self.domain
        local, _, host = (self.settings.unsubscribe_mailbox or f"unsubscribe@{self.domain}").rpartition("@")
        self.unsubscribe_mailbox = (local, host)
        fixed = [
            ("From", mime.mailbox(self.settings.from_name, self.settings.from_address)),
            ("List-Id", f"{mime.phrase(self.topic_name)} <{topic.key}.{self.domain}>"),
            ("List-Help", f"<{self.settings.public_url}/link>"),
            ("List-Post", "NO"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("Feedback-ID", f"{campaign.public_id}:{topic.key}:campaign:{sender_id(self.domain)}"),
        ]
        self.fixed = mime.header_lines(fixed)

    def compose(self, claimed: Claimed) -> Envelope:
        """The envelope for one contact. RenderError when the content cannot be rendered for them; UnwritableAddress."""
        try:
            recipient = mime.mailbox("", claimed.email)
        except ValueError as fault:
            raise UnwritableAddress(str(fault)) from None
        unsubscribe = signed_links.url(Power.unsub, [claimed.public_id, self.topic_key, claimed.id])
        preferences = signed_links.url(Power.manage, [claimed.public_id, claimed.link_epoch])
        fields = content.fields_for(
            email=claimed.email,
            language=claimed.language,
            attributes=claimed.attributes,
            unsubscribe_url=unsubscribe,
            preferences_url=preferences,
            topic=self.topic_names.get(claimed.language, self.topic_name),
            why=self._why(claimed),
        )
        mail = self.renderer.encode(fields, claimed.language)
        data = mime.assemble(
            [
                ("To", recipient),
                ("Subject", mail.subject),
                *self._own(claimed, unsubscribe),
            ],
            mail.text,
            mail.html,
            boundary=f"=_{self.campaign_ref}",
            fixed=self.fixed,
        )
        if self.signers is not None:
            data = self.signers.sign(data)
        sender = f"bounce+{marks.make(claimed.id, Place.return_path)}@{self.bounce_domain}"
        return Envelope(claimed.id, sender, claimed.email, data, dotless=True)

    def _own(self, claimed: Claimed, unsubscribe: str) -> list[tuple[str, str]]:
        local, host = self.unsubscribe_mailbox
        mailto = f"mailto:{local}+{marks.make(claimed.id, Place.unsubscribe)}@{host}"
        return [
            ("Date", format_datetime(clock.now())),
            ("Message-ID", f"<{marks.make(claimed.id, Place.message_id)}@{self.domain}>"),
            ("List-Unsubscribe", f"<{unsubscribe}>, <{mailto}>"),
            ("Content-Language", i18n.best(claimed.language)),
        ]

    def _why(self, claimed: Claimed) -> str:
        topic = self.topic_names.get(claimed.language, self.topic_name)
        return why(claimed.language, topic, claimed.consent_source, claimed.consent_at and claimed.consent_at.date())


@lru_cache(maxsize=4096)
def why(language: str, topic: str, source: str | None, on: date | None) -> str:
    """Why this person gets this mail, with the date and source of their consent (GDPR 14(2)(f))."""
    with force_locale(i18n.best(language).replace("-", "_")):
        sources: Mapping[str, str] = {
            "form": gettext("through our sign-up form"),
            "link": gettext("on your preference page"),
            "import": gettext("as recorded when you became our customer"),
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
