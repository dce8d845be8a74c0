"""How a campaign goes and how it went: one page whose figures add up, and the people behind each figure."""

from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy import Row

from preference_center import clock
from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import approvals, experiments, queries, timing
from preference_center.campaigns.experiments import Metric
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.campaigns.rendering import imprints
from preference_center.contacts.models import Contact
from preference_center.contacts.spreadsheets import as_csv
from preference_center.db import db, transaction
from preference_center.delivery import queries as delivery
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.queries import Figures
from preference_center.delivery.results import attempts, comparing, engagement, foretelling, totals, trials
from preference_center.topics.models import Topic
from preference_center.web.admin.contacts import shown, written
from preference_center.web.admin.gate import allowed, me, pages, whole_number

PAGE = 50
AT_ONCE = 1000  # rows of a file
COLUMNS: tuple[str, ...] = ("contact", "email", "state", "reason", "record", "tries", "replies", "at")
IMPRINT = {
    "organisation": _l("the organisation"),
    "postal_address": _l("the postal address"),
    "topic": _l("the topic"),
    "names": _l("the name of the topic"),
}


@pages.get("/campaigns/<public_id>/progress")
@allowed(Permission.look)
def progress(public_id: str) -> ResponseReturnValue:
    campaign = queries.by_public_id(public_id)
    figures = totals.recent(campaign)
    waiting = figures.queued + figures.sending
    through = figures.audience - waiting
    ahead = int((campaign.scheduled_at - clock.now()).total_seconds()) if campaign.scheduled_at else 0
    version = queries.version(campaign, campaign.approved_version)
    trial = _trial(campaign, version)
    topic = db.session.get_one(Topic, campaign.topic_id)
    return render_template(
        "admin/planning/progress.html",
        campaign=campaign,
        version=version,
        topic=topic,
        outdated=[IMPRINT[name] for name in imprints.changed(version, topic)] if campaign.finished_at is None else [],
        f=figures,
        waiting=waiting,
        through=through,
        handed=figures.sent + figures.delivered + figures.bounced + figures.complained,
        skipped=sum(figures.skipped.values()),
        share=100 * through // figures.audience if figures.audience else 0,
        is_live=(is_live := campaign.state is CampaignState.sending),
        moves=_moves(campaign, figures),
        resting=(resting := foretelling.resting(clock.now()) if is_live and figures.queued else []),
        rest_takes=foretelling.rest_takes(campaign, figures, clock.now()) if is_live and not resting else None,
        seen=engagement.seen(campaign) if campaign.finished_at and not trial else None,
        left=comparing.left_since(campaign) if campaign.finished_at else None,
        beside=comparing.with_the_last(campaign) if campaign.finished_at else [],
        plan=timing.plan_of(campaign),
        approval=approvals.newest(campaign),
        starts_in=max(ahead, 0) if ahead <= timing.settings().hold_seconds and campaign.wall_time is None else None,
        reached=figures.sent + figures.delivered + figures.complained + figures.uncertain,
        has_ended=campaign.state in (CampaignState.sent, CampaignState.cancelled),
        trial=trial,
    )


def _moves(campaign: Campaign, figures: Figures) -> bool:
    """Whether the page is to look again: also after a pause or the end, as long as mail is on its way or to be closed."""
    if campaign.state is CampaignState.paused:
        return figures.sending > 0
    if campaign.state in (CampaignState.scheduled, CampaignState.sending):
        return True
    return figures.queued + figures.sending > 0


def _trial(campaign: Campaign, version: CampaignVersion) -> dict[str, Any]:
    """Of contents that are tried: their figures, and who chooses the winner, when. Empty without an experiment, or before it starts."""
    if not version.experiment or campaign.started_at is None:
        return {}
    metric, scores = version.experiment["metric"], trials.scores(campaign)
    runs = campaign.state in (CampaignState.sending, CampaignState.paused)
    return {
        "scores": scores,
        "subjects": [experiments.content_of(version, one.variant).subject for one in scores],
        "runs": runs,
        "can_pick": runs and campaign.decide_at is not None and campaign.winner is None,
        "decides": campaign.decide_at if campaign.decide_at != trials.NEVER else None,
        "by_person": metric == Metric.person,
        "pick_before": campaign.gives_up_at(),
        "is_over": campaign.decide_at is not None and campaign.decide_at <= clock.now(),
        "has_figures": any(one.by(metric) for one in scores),
    }


@pages.get("/campaigns/<public_id>/people")
@allowed(Permission.look)
def people(public_id: str) -> ResponseReturnValue:
    campaign = queries.by_public_id(public_id)
    state, reason = _wanted()
    after = whole_number(request.args.get("after")) or 0
    rows = delivery.rows(campaign, state=state, reason=reason, after=after, limit=PAGE + 1)
    return render_template(
        "admin/planning/people.html",
        campaign=campaign,
        rows=[(message, contact, shown(contact)) for message, contact in rows[:PAGE]],
        records=delivery.records_of(message for message, _contact in rows[:PAGE]),
        attempts=attempts.of([message for message, _contact in rows[:PAGE]]),
        following=rows[PAGE - 1][0].id if len(rows) > PAGE else None,
        state=state or "",
        reason=reason or "",
    )


@pages.post("/campaigns/<public_id>/people.csv")
@allowed(Permission.look)
def people_file(public_id: str) -> ResponseReturnValue:
    """The same rows as a file, all of them; addresses as this user may see them."""
    state, reason = _wanted()
    with transaction():
        audit.note(me().actor, "campaign.people_exported", "campaign", public_id, state=state, reason=reason)
    campaign = queries.by_public_id(public_id)
    whole = me().may(Permission.see_addresses)  # asked now: the request, and its user, are gone when the lines are made
    response = Response(stream_with_context(as_csv(_lines(campaign, state, reason, whole))), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="people-{public_id}.csv"'
    return response


def _wanted() -> tuple[MessageState | None, str | None]:
    state = request.values.get("state", "")
    return MessageState(state) if state in list(MessageState) else None, request.values.get("reason", "")[:20] or None


def _lines(
    campaign: Campaign, state: MessageState | None, reason: str | None, whole: bool
) -> Iterator[tuple[str, ...]]:
    """A batch at a time. Nothing is open in the database while somebody takes it, however slowly."""
    lines, after = [COLUMNS], 0
    while lines:
        db.session.rollback()
        yield from lines
        rows = delivery.rows(campaign, state=state, reason=reason, after=after, limit=AT_ONCE)
        lines = _lines_of(rows, whole)
        after = rows[-1][0].id if rows else after


def _lines_of(rows: Sequence[Row[Message, Contact]], whole: bool) -> list[tuple[str, ...]]:
    records = delivery.records_of(message for message, _contact in rows)
    tried = attempts.of([message for message, _contact in rows])
    lines: list[tuple[str, ...]] = []
    for message, contact in rows:
        record = records.get(message.record_id or 0)
        replies = " | ".join(one.reply for one in tried[message.id])
        told = (message.state, message.reason or "", record.public_id if record else "", str(message.attempt))
        at = message.changed_at.isoformat(timespec="seconds")
        lines.append((contact.public_id, written(contact, whole=whole), *told, replies, at))
    return lines
