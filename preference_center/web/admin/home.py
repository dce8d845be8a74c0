"""Home: what needs somebody, what is being sent now and next, and how many people there are."""

from flask import render_template
from flask.typing import ResponseReturnValue

from preference_center import clock
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import CampaignState
from preference_center.consent import queries as consent
from preference_center.contacts import queries as contacts
from preference_center.delivery.events import queries as events
from preference_center.delivery.events import reputation
from preference_center.delivery.results import totals, trials
from preference_center.suppressions import register
from preference_center.topics import catalogue
from preference_center.web.admin.gate import allowed, pages

_GOING_ON = (CampaignState.sending, CampaignState.paused, CampaignState.scheduled)


@pages.get("/")
@allowed(Permission.look)
def home() -> ResponseReturnValue:
    newest = campaigns.newest(50)
    going_on = [campaign for campaign in newest if campaign.state in _GOING_ON]
    sent = [campaign for campaign in newest if campaign.state is CampaignState.sent]
    topics = catalogue.live()
    return render_template(
        "admin/home.html",
        paused=[campaign for campaign in going_on if campaign.state is CampaignState.paused],
        to_pick=[campaign for campaign in going_on if trials.waits_for_a_person(campaign, clock.now())],
        drafts=[campaign for campaign in newest if campaign.state is CampaignState.draft][:3],
        going_on=[(campaign, totals.recent(campaign, totals.LIST_SHARE)) for campaign in going_on],
        last=[(campaign, totals.recent(campaign, totals.ENDED_SHARE)) for campaign in sent[:3]],
        topics=topics,
        contacts=contacts.count(),
        followers=consent.followers(),
        suppressed=register.count(),
        held=events.held(),
        complaints=reputation.lately(),
        first_run=not topics or not newest,
    )
