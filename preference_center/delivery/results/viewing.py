"""A mail in the browser, as the contact got it: the version that was sent to them, with what we know of them now."""

from preference_center import signed_links
from preference_center.campaigns import experiments
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign
from preference_center.campaigns.rendering import content, imprints
from preference_center.campaigns.rendering.content import Rendered
from preference_center.consent.models import ConsentRecord
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery.composing import why
from preference_center.delivery.models import Message, MessageState
from preference_center.errors import NotFound
from preference_center.signed_links import Power
from preference_center.topics.models import Topic

_LEFT = frozenset(MessageState) - {MessageState.queued, MessageState.skipped, MessageState.failed}


def seen_by(contact: Contact, message_id: int) -> Rendered:
    """The mail behind a message of this contact. NotFound where none left for them."""
    message = db.session.get(Message, message_id)
    if message is None or message.contact_id != contact.id or message.state not in _LEFT or not contact.email:
        raise NotFound("There is no such mail.")
    campaign = db.session.get_one(Campaign, message.campaign_id)
    version = campaigns.version(campaign, campaign.approved_version)
    version = experiments.content_of(version, campaign.winner if message.variant is None else message.variant)
    topic = db.session.get_one(Topic, campaign.topic_id)
    record = db.session.get(ConsentRecord, message.record_id) if message.record_id else None
    language, imprint = contact.language, imprints.of(version, topic)
    name = imprint.topic_name(language)
    fields = content.fields_for(
        email=contact.email,
        language=language,
        attributes=contact.attributes,
        unsubscribe_url=signed_links.url(Power.unsub, [contact.public_id, topic.key, message.id]),
        preferences_url=signed_links.url(Power.manage, [contact.public_id, contact.link_epoch]),
        browser_url=signed_links.url(Power.view, [contact.public_id, contact.link_epoch, message.id]),
        imprint=imprint,
        why=why(language, name, record and record.source, record and record.happened_at and record.happened_at.date()),
    )
    return content.renderer(version).render(fields, language)
