"""Writes campaigns and moves them on: each save adds a version, scheduling freezes one, the clock starts what is due."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from preference_center import clock, jobs
from preference_center.campaigns import approvals, experiments, queries, timing
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion, ContentFormat
from preference_center.campaigns.rendering import compiling, content, imprints
from preference_center.campaigns.timing import Plan
from preference_center.db import db
from preference_center.errors import Conflict, Invalid
from preference_center.segments import queries as segments
from preference_center.topics.models import Topic

CONTENT_FIELDS = ("subject", "preheader", "format", "source", "text_source", "segment", "audience", "experiment")
_PAST = timedelta(minutes=5)  # a form that was open for a while
_FUTURE = timedelta(days=730)
_CALENDAR_DAYS = timedelta(days=7)


def create(
    name: str,
    topic: Topic,
    subject: str,
    format: ContentFormat | str,
    source: str,
    *,
    preheader: str = "",
    text_source: str = "",
    segment: str = "",
    audience: dict[str, Any] | None = None,
    experiment: dict[str, Any] | None = None,
    actor: str = "",
    made_from: str = "",
) -> Campaign:
    """A new draft with its first version. Invalid, with the line, when the content or the segment cannot stand."""
    _check_topic(topic)
    now = clock.now()
    fields = {
        "subject": subject,
        "preheader": preheader,
        "format": format,
        "source": source,
        "text_source": text_source,
        "segment": segment,
        "audience": audience or {},
        "experiment": experiment or {},
    }
    ready = _ready(fields)
    campaign = Campaign(
        name=named(name),
        topic_id=topic.id,
        state=CampaignState.draft,
        version=1,
        made_from=made_from,
        created_by=actor,
        created_at=now,
        updated_at=now,
    )
    db.session.add(campaign)
    db.session.flush()
    _add_version(campaign, ready, actor, now)
    return campaign


def save(campaign: Campaign, *, on_version: int, actor: str, **changes: Any) -> CampaignVersion:
    """A new version with these changes (`name`, `topic` and the fields of a version).

    Conflict when somebody else saved meanwhile: `on_version` is the one the changes were made on.
    """
    unknown = set(changes) - {"name", "topic", *CONTENT_FIELDS}
    if unknown:
        raise TypeError(f"a campaign has no {', '.join(sorted(unknown))}")
    campaign = queries.lock(campaign.id)
    if campaign.state is not CampaignState.draft:
        raise Conflict(f"This campaign is {campaign.state}; only a draft can be changed.")
    if campaign.version != on_version:
        raise Conflict("Somebody else saved this campaign meanwhile. Look at the newest version before you save yours.")
    before = queries.version(campaign)
    kept = {name: getattr(before, name) for name in CONTENT_FIELDS} | {"experiment": experiments.given(before)}
    ready = _ready(kept | {name: changes[name] for name in CONTENT_FIELDS if name in changes})
    if "name" in changes:
        campaign.name = named(changes["name"])
    if "topic" in changes:
        _check_topic(changes["topic"])
        campaign.topic_id = changes["topic"].id
    now = clock.now()
    campaign.version += 1
    campaign.updated_at = now
    return _add_version(campaign, ready, actor, now)


def schedule(
    campaign: Campaign,
    at: datetime | Plan,
    *,
    version: int | None = None,
    not_after: datetime | None = None,
    actor: str = "",
) -> None:
    """Approve a version, the newest, and send it at `at`: a moment, which may be now, or a plan by the clock on a wall.

    Outside the sending calendar it starts when that opens. What still waits at `not_after` is closed as too late. Invalid when
    it could not be sent; Conflict when `version`, the one looked at, is not the newest any more.
    """
    now = clock.now()
    campaign = queries.lock(campaign.id)
    approvals.check_newest(campaign, version or campaign.version)
    begin = _begin(at, now)
    chosen = queries.version(campaign)
    not_after = _last_moment(at, begin, not_after, experiments.wait(chosen))
    topic = db.session.get_one(Topic, campaign.topic_id)
    _check_topic(topic)
    content.preview(chosen, language="en")
    imprints.seal(chosen, topic)
    campaign.freeze_segment(segments.frozen(chosen.segment))
    campaign.schedule(begin, now, not_after)
    if isinstance(at, Plan):
        timing.keep(campaign, at)
    approvals.note(campaign, chosen, actor, now)
    if begin <= now:
        jobs.later(jobs.START_DUE)


def _begin(at: datetime | Plan, now: datetime) -> datetime:
    planned = at.ends() if isinstance(at, Plan) else at
    if planned.tzinfo is None:
        raise Invalid("Say in which time zone that moment is.", {"at": "Say in which time zone that moment is."})
    if not now - _PAST <= planned <= now + _FUTURE:
        raise Invalid(
            "Choose a moment from now on, within two years.", {"at": "Choose a moment from now on, within two years."}
        )
    return timing.start_of(at, now) if isinstance(at, Plan) else timing.next_open(at)


def _last_moment(
    at: datetime | Plan, begin: datetime, not_after: datetime | None, trying: timedelta
) -> datetime | None:
    """The last moment as it was given; with a sending calendar never open-ended, as a day alone may be a closed one."""
    last = max(begin, at.ends()) if isinstance(at, Plan) else begin
    if not_after is None:
        return last + _CALENDAR_DAYS + trying if timing.settings().sending_calendar.open else None
    if not_after.tzinfo is None or not_after <= begin:
        wrong = "The last moment must lie after the start."
    elif not_after <= begin + trying:
        wrong = "By the last moment no winner of the test is chosen yet, so most would get nothing. Choose a later one."
    elif not_after > begin + _FUTURE:
        wrong = "The last moment must lie within two years of the start."
    else:
        return not_after
    raise Invalid(wrong, {"not_after": wrong})


def unschedule(campaign: Campaign) -> None:
    """Back to a draft, as long as it has not started."""
    campaign = queries.lock(campaign.id)
    campaign.unschedule(clock.now())
    imprints.unseal(queries.version(campaign))


def pause(campaign: Campaign, reason: str | None = None) -> None:
    """No new chunk is claimed once this is committed."""
    queries.lock(campaign.id).pause(clock.now(), reason)


def resume(campaign: Campaign) -> None:
    campaign = queries.lock(campaign.id)
    campaign.resume(clock.now())
    jobs.later(jobs.DELIVER if campaign.filled_at else jobs.FILL, campaign.id)


def cancel(campaign: Campaign) -> None:
    """Nobody else gets it. What already left stays; the sweep marks the rest."""
    queries.lock(campaign.id).cancel(clock.now())
    jobs.later(jobs.SWEEP)


GRACE = timedelta(hours=12)
_MISSED = "Its time was missed by more than twelve hours. Resume it to send it now, or cancel it."


def start_due(now: datetime) -> list[int]:
    """Start every scheduled campaign whose time has come, each exactly once however many clocks ring.

    One whose time was missed by more than the grace is not sent late behind anybody's back: it waits for a person (P9).
    """
    _look_again()
    due = (Campaign.state == CampaignState.scheduled, Campaign.scheduled_at <= now)
    db.session.execute(
        update(Campaign)
        .where(*due, Campaign.scheduled_at < now - GRACE)
        .values(state=CampaignState.paused, started_at=now, updated_at=now, pause_reason=_MISSED)
        .execution_options(synchronize_session=False)
    )
    claimed = (
        update(Campaign)
        .where(*due)
        .values(state=CampaignState.sending, started_at=now, updated_at=now)
        .returning(Campaign.id)
    )
    started = sorted(db.session.scalars(claimed))
    for campaign_id in started:
        jobs.later(jobs.FILL, campaign_id)
    return started


def _look_again() -> None:
    """Plans come to another moment when the rules of their zone, or the sending calendar, were changed since (T4)."""
    planned = select(Campaign).where(Campaign.state == CampaignState.scheduled, Campaign.wall_time.is_not(None))
    for campaign in db.session.scalars(planned):
        before, made = campaign.scheduled_at, timing.plan_of(campaign)
        try:
            now_at = timing.start_of(made, campaign.updated_at) if made else before
        except Invalid:  # its zone is gone from this machine: what it came to stands, and the others are started too
            continue
        if now_at == before:
            continue
        db.session.execute(  # whoever else looks at the same moment comes to the same; who started it meanwhile was first
            update(Campaign)
            .where(
                Campaign.id == campaign.id, Campaign.state == CampaignState.scheduled, Campaign.scheduled_at == before
            )
            .values(scheduled_at=now_at, moved_from=before)
        )


def _ready(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a version, checked and compiled. Invalid names the field and the line."""
    segment = str(fields["segment"]).strip()
    ready = {**fields, "segment": str(segments.read(segment)) if segment else ""}
    ready["format"] = _format(fields["format"])
    ready["compiled"] = content.compile(ready)
    ready["experiment"] = experiments.read(ready["experiment"], ready)
    return ready


def _add_version(campaign: Campaign, ready: dict[str, Any], actor: str, now: datetime) -> CampaignVersion:
    version = CampaignVersion(
        campaign_id=campaign.id, number=campaign.version, created_by=actor, created_at=now, sha256="", **ready
    )
    version.sha256 = version.digest()
    db.session.add(version)
    db.session.flush()
    return version


def _format(given: ContentFormat | str) -> ContentFormat:
    try:
        return ContentFormat(given)
    except ValueError:
        raise Invalid(
            "Choose Markdown, MJML, HTML or blocks.", {"format": "Choose Markdown, MJML, HTML or blocks."}
        ) from None


def named(given: str, what: str = "campaign") -> str:
    """The name of a campaign or a template, as it is kept."""
    name = " ".join(given.split())
    if not name or len(name) > 120:
        raise Invalid(f"Give the {what} a name of 1 to 120 characters.", {"name": "1 to 120 characters."})
    if name != compiling.printable(name):
        words = f"The name of the {what} is one line without control or invisible characters."
        raise Invalid(words, {"name": words})
    return name


def _check_topic(topic: Topic) -> None:
    if topic.retired_at is not None:
        words = f"The topic {topic.key} is retired: nobody may be mailed on it. Choose another."
        raise Invalid(words, {"topic": words})
    if not topic.purpose.mails:
        words = f"The topic {topic.key} is not about email. Choose one that is."
        raise Invalid(words, {"topic": words})
