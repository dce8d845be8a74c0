"""Contents that campaigns start from. Each save adds a version; a campaign takes a copy of one and goes its own way."""

from typing import Any

from sqlalchemy import select

from preference_center import clock
from preference_center.campaigns import experiments, queries, scheduling
from preference_center.campaigns.models import Campaign, ContentFormat, Template, TemplateVersion
from preference_center.campaigns.rendering import compiling, content
from preference_center.db import db
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.topics.models import Topic

FIELDS = ("subject", "preheader", "format", "source", "text_source")


def create(name: str, actor: str = "", **fields: Any) -> Template:
    """A new template with its first version. Invalid, with the line, when no mail could be made of it."""
    now = clock.now()
    ready = _ready(fields)
    made = Template(
        name=scheduling.named(name, "template"), version=1, created_by=actor, created_at=now, updated_at=now
    )
    db.session.add(made)
    db.session.flush()
    _add(made, ready, actor)
    return made


def keep(campaign: Campaign, name: str = "", actor: str = "") -> Template:
    """A template of a campaign's content as it was sent, or was last written."""
    written = experiments.content_of(queries.version(campaign, campaign.approved_version), campaign.winner)
    return create(
        name or compiling.printable(campaign.name), actor, **{field: getattr(written, field) for field in FIELDS}
    )


def save(
    template: Template, *, on_version: int, actor: str = "", name: str | None = None, **changes: Any
) -> TemplateVersion:
    """A new version with these changes. Conflict when somebody saved meanwhile; campaigns made before stay as they are."""
    template = db.session.get_one(Template, template.id, with_for_update=True, populate_existing=True)
    if template.retired_at is not None:
        raise Conflict("This template was put away; take it out again before you change it.")
    if template.version != on_version:
        raise Conflict("Somebody else saved this template meanwhile. Look at the newest version before you save yours.")
    before = version(template)
    ready = _ready({field: changes.get(field, getattr(before, field)) for field in FIELDS})
    template.name = scheduling.named(name, "template") if name is not None else template.name
    template.version += 1
    template.updated_at = clock.now()
    return _add(template, ready, actor)


def start(
    template: Template, name: str, topic: Topic, actor: str = "", number: int | None = None, **more: Any
) -> Campaign:
    """A draft campaign with a copy of one version, the newest unless another is named."""
    if template.retired_at is not None:
        raise Conflict("This template was put away; choose another one.")
    chosen = version(template, number)
    fields = {field: getattr(chosen, field) for field in FIELDS}
    made_from = f"template {template.public_id} v{chosen.number}"
    return scheduling.create(name, topic, **fields | more, actor=actor, made_from=made_from)


def retire(template: Template) -> None:
    """Put away: no campaign starts from it any more."""
    template.retired_at = template.retired_at or clock.now()


def take_out(template: Template) -> None:
    """In use again, as it was."""
    template.retired_at = None


def by_public_id(public_id: str) -> Template:
    found = db.session.scalar(select(Template).where(Template.public_id == public_id))
    if found is None:
        raise NotFound("There is no such template.")
    return found


def in_use() -> list[Template]:
    """Those that were not put away, by name."""
    return list(db.session.scalars(select(Template).where(Template.retired_at.is_(None)).order_by(Template.name)))


def put_away() -> list[Template]:
    """The others, by name."""
    return list(db.session.scalars(select(Template).where(Template.retired_at.is_not(None)).order_by(Template.name)))


def version(template: Template, number: int | None = None) -> TemplateVersion:
    wanted = template.version if number is None else number
    found = db.session.scalar(
        select(TemplateVersion).where(TemplateVersion.template_id == template.id, TemplateVersion.number == wanted)
    )
    if found is None:
        raise NotFound(f"This template has no version {wanted}.")
    return found


def versions(template: Template) -> list[TemplateVersion]:
    """All of them, the newest first."""
    mine = select(TemplateVersion).where(TemplateVersion.template_id == template.id)
    return list(db.session.scalars(mine.order_by(TemplateVersion.number.desc())))


def _ready(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, tried out: what no campaign could be made of is not kept."""
    ready = {"preheader": "", "text_source": "", **fields}
    try:
        ready["format"] = ContentFormat(ready["format"])
    except ValueError:
        raise Invalid(
            "Choose Markdown, MJML, HTML or blocks.", {"format": "Choose Markdown, MJML, HTML or blocks."}
        ) from None
    content.compile(ready)
    return ready


def _add(template: Template, ready: dict[str, Any], actor: str) -> TemplateVersion:
    made = TemplateVersion(
        template_id=template.id, number=template.version, created_by=actor, created_at=clock.now(), **ready
    )
    db.session.add(made)
    db.session.flush()
    return made
