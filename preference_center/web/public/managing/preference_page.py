"""The preference page as HTML. Its frame and each topic's row are rendered once and filled in for each person (`stencils.py`)."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from flask import render_template

from preference_center import clock
from preference_center.consent.models import Action, Cadence
from preference_center.consent.overview import Overview, Record
from preference_center.contacts.addresses import mask
from preference_center.preferences.choices import Choice, Choices
from preference_center.preferences.offer import Offer
from preference_center.topics.models import Topic, TopicText
from preference_center.topics.purposes import LegalBasis
from preference_center.web import guards
from preference_center.web.public import examples, look, words
from preference_center.web.public.managing import stencils, zones
from preference_center.web.public.managing.stencils import blank

LONGEST_BREAK = timedelta(days=366)


@dataclass(frozen=True)
class Fact:
    """The record behind a row, as far as many people have the same."""

    action: Action
    source: str
    legal_basis: LegalBasis | None
    text: str = ""
    text_language: str = ""
    text_version: int = 0


@dataclass(frozen=True)
class Row:
    """A topic as one contact may choose it."""

    key: str
    language: str  # of its name and description
    name: str
    description: str
    rhythm: str
    example: str  # the issue in the archive that shows what one gets
    channel: str
    on: bool
    ticked: bool
    wording_id: int | None
    wording: str
    cadence: Cadence
    cadence_choice: bool
    often: str  # which cadence is ticked
    ends: bool  # by itself, on a day that is filled in
    fact: Fact | None


@dataclass(frozen=True)
class Frame:
    """The page around the rows. Rows are blanks, each with the heading it stands under."""

    language: str
    zone: str
    stopped: bool
    paused_until: str
    held_back: str | None
    on: int
    by_mail: tuple[tuple[str, str], ...]
    besides: tuple[str, ...]
    other_ways: tuple[str, ...]
    service: tuple[tuple[str, str, str], ...]  # language of the two others, name, description
    ended: tuple[tuple[str, str], ...]
    tomorrow: str
    in_a_year: str


@dataclass(frozen=True)
class Said:
    """What the page says besides, after an act: how it ended, what is wrong, and what was typed."""

    outcome: words.Outcome | None = None
    conflicts: list[tuple[Choice, bool]] = field(default_factory=list)
    done: str = ""
    fault: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)
    chosen: set[str] | None = None

    @property
    def wrong(self) -> bool:
        return bool(self.fault or self.faults)


NOTHING = Said()


def html(token: str, contact: Overview, language: str, offered: Offer, choices: Choices, said: Said = NOTHING) -> str:
    """The page of this contact, who holds this link."""
    values = {"token": token, "proof": guards.proof(token), "address": mask(contact.email)}
    zone = zones.of(contact)
    for choice in choices.topics:
        if choice.record:
            key, at = choice.topic.key, choice.record.happened_at.astimezone(zone)
            values[f"day-{key}"], values[f"moment-{key}"] = words.day_of(at, language), words.moment_of(at, language)
            values[f"record-{key}"] = choice.record.public_id
        if choice.until:
            values[f"end-{choice.topic.key}"] = words.day_of(choice.until.astimezone(zone), language)
    brand, shown = look.current(), examples.newest()

    def draw(**more: object) -> list[str]:
        frame = _draw_frame(_frame(contact, choices, language), brand, said, **more)
        rows = {_row(choice): _draw_row(choice, language, shown, said) for choice in choices.topics}
        return stencils.put_together(frame, rows)

    if said != NOTHING:  # what is kept for everybody sees nobody
        return stencils.put_in(draw(contact=contact), values)
    break_ends = choices.paused_until and choices.paused_until.astimezone(zone).date()
    seen = (contact.time_zone, _tomorrow(zone), choices.stopped, break_ends, choices.held_back)
    told = tuple([_told(choice, shown) for choice in choices.topics])
    ended = tuple([topic.id for topic in choices.ended])
    return stencils.put_in(offered.once((language, brand, seen, told, ended), draw), values)


def _told(choice: Choice, shown: dict[str, str]) -> tuple[object, ...]:
    """All that a row shows which does not follow from the offer: many people have said the same."""
    topic, record = choice.topic, choice.record
    alike = record and (record.action, record.source, record.legal_basis, record.wording_id)
    return topic.id, choice.on, choice.cadence, choice.until is not None, alike, shown.get(topic.key)


def _draw_frame(frame: Frame, brand: look.Shown, said: Said, **more: object) -> list[str]:
    def render() -> str:
        own = {"token": blank("token"), "proof": blank("proof"), "address": blank("address")}
        return render_template("public/managing/preferences.html", page=frame, said=said, words=words, **own, **more)

    return stencils.kept((frame, brand), render) if said == NOTHING else stencils.cut(render())


def _frame(contact: Overview, choices: Choices, language: str) -> Frame:
    tomorrow = _tomorrow(zones.of(contact))
    return Frame(
        language=language,
        zone=zones.city(contact, language),
        stopped=choices.stopped,
        paused_until=words.day(choices.paused_until, contact) if choices.paused_until else "",
        held_back=choices.held_back,
        on=len(choices.on),
        by_mail=tuple((one.topic.text(language).heading, blank(_row(one))) for one in choices.by_mail),
        besides=tuple(blank(_row(one)) for one in choices.besides),
        other_ways=tuple(blank(_row(one)) for one in choices.by_other_ways),
        service=tuple((text.language, text.name, text.description) for text in _texts(choices.service, language)),
        ended=tuple((text.language, text.name) for text in _texts(choices.ended, language)),
        tomorrow=tomorrow.isoformat(),
        in_a_year=(tomorrow + LONGEST_BREAK - timedelta(days=2)).isoformat(),
    )


def _texts(topics: list[Topic], language: str) -> list[TopicText]:
    return [topic.text(language) for topic in topics]


def _row(choice: Choice) -> str:
    """What the place of its row is called."""
    return f"row-{choice.topic.key}"


def _tomorrow(zone: ZoneInfo) -> date:
    return clock.now().astimezone(zone).date() + timedelta(days=1)


def _draw_row(choice: Choice, language: str, shown: dict[str, str], said: Said) -> list[str]:
    topic, text, record = choice.topic, choice.topic.text(language), choice.record
    row = Row(
        key=topic.key,
        language=text.language,
        name=text.name,
        description=text.description,
        rhythm=text.cadence,
        example=shown.get(topic.key, ""),
        channel=topic.purpose.channel,
        on=choice.on,
        ticked=choice.on if said.chosen is None else topic.key in said.chosen,
        wording_id=choice.wording.id if choice.wording else None,
        wording=choice.wording.text if choice.wording else "",
        cadence=choice.cadence,
        cadence_choice=topic.cadence_choice,
        often=_often(choice, said),
        ends=choice.until is not None,
        fact=_fact(choice, record) if record else None,
    )

    def render() -> str:
        own = {name: blank(f"{name}-{row.key}") for name in ("day", "moment", "record", "end")}
        own["href"] = examples.address(row.key, row.example, language)
        return render_template("public/managing/preferences_topic.html", row=row, language=language, words=words, **own)

    return stencils.kept((row, language), render)


def _often(choice: Choice, said: Said) -> str:
    """What was ticked. It is part of the stencil's key, so nothing else that was sent may come in."""
    typed = said.typed.get(f"often-{choice.topic.key}", "") if said.wrong else ""
    return typed if typed in list(Cadence) else choice.cadence


def _fact(choice: Choice, record: Record) -> Fact:
    told = (record.action, record.source, record.legal_basis)
    agreed = choice.agreed
    return Fact(*told, agreed.text, agreed.language, agreed.version) if agreed else Fact(*told)
