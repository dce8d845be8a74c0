"""`segments`: rules with a name, and what a rule means, from the command line."""

import sys
from typing import TYPE_CHECKING, Any

import click

from preference_center.commands import desk

if TYPE_CHECKING:
    from preference_center.segments.models import Segment
    from preference_center.segments.rules import Rule
    from preference_center.segments.sizing import Estimate

_from_json = click.option("--from-json", is_flag=True, help="The rule is given in its JSON form.")
_topic = click.option(
    "--topic", "topic_key", metavar="KEY", help="Also who of them may be mailed on this topic, and why not."
)


@click.group(epilog="Example: preference-center segments list")
def segments() -> None:
    """Whom mail is for, under a name."""


@segments.command(epilog="""Example: preference-center segments add "Kraków" 'language = pl and city = "Kraków"'""")
@click.argument("name")
@click.argument("rule")
@_from_json
def add(name: str, rule: str, from_json: bool) -> None:
    """Keep a rule under a name. RULE may be - for standard input."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.segments import named

        with transaction():
            segment = named.add(name, _read(rule, from_json), desk.ACTOR)
            audit.note(desk.ACTOR, "segment.added", "segment", segment.public_id)
            kept = segment.name
    click.echo(f"The segment {kept} was added.")


@segments.command(
    epilog="""Example: preference-center segments change "Kraków" 'language = pl and city = "Kraków"' --name Cracow"""
)
@click.argument("name")
@click.argument("rule")
@click.option("--name", "new_name", default=None, help="Another name for it.")
@click.option("--version", type=int, default=None, help="The version you looked at; default: the newest.")
@_from_json
def change(name: str, rule: str, new_name: str | None, version: int | None, from_json: bool) -> None:
    """Give a segment another rule, perhaps another name. RULE may be - for standard input. Approved campaigns keep theirs."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.segments import named, queries

        with transaction():
            found = queries.by_name(name)
            kept = named.save(
                found,
                new_name or found.name,
                _read(rule, from_json),
                on_version=version or found.version,
                actor=desk.ACTOR,
            )
            audit.note(desk.ACTOR, "segment.saved", "segment", kept.public_id, version=kept.version)
            said = f"The segment {kept.name} is saved as version {kept.version}."
    click.echo(said)


@segments.command("list", epilog="Example: preference-center segments list --json")
@desk.as_json
def list_(as_json: bool) -> None:
    """All segments with their rules."""
    with desk.app():
        from preference_center.segments import queries

        found = [_as_data(segment) for segment in queries.everything()]
    if as_json:
        desk.print_json(found)
        return
    rows = [(one["id"], one["name"], one["text"]) for one in found]
    desk.print_table(("id", "name", "rule"), rows, "There are no segments yet: segments add makes one.")


@segments.command(epilog="""Example: preference-center segments show "Kraków" --topic news""")
@click.argument("name")
@_topic
@desk.as_json
def show(name: str, topic_key: str | None, as_json: bool) -> None:
    """One segment: its rule, where it is used, and how many people it means now, counted exactly."""
    with desk.app():
        from preference_center import clock
        from preference_center.segments import named, queries, sizing

        segment = queries.by_name(name)
        used = named.uses(segment)
        found = _as_data(segment) | {
            "used_in_segments": [one.name for one in used.segments],
            "used_in_campaigns": [one.public_id for one in used.campaigns],
            "people": sizing.count(queries.rule_of(segment), clock.now()),
        }
        funnel = _funnel(found["text"], topic_key)
    if as_json:
        desk.print_json(found | funnel)
        return
    click.echo(f"{found['name']}: {found['text']}")
    click.echo(f"people: {found['people']}")
    click.echo(f"used in: {used}" if used else "used nowhere")
    _tell(funnel)


@segments.command(epilog="""Example: preference-center segments check 'points > 500 and joined in the last 30 days'""")
@click.argument("rule")
@_from_json
@_topic
@desk.as_json
def check(rule: str, from_json: bool, topic_key: str | None, as_json: bool) -> None:
    """Read a rule without keeping it: both forms, and about how many people it means. RULE may be - for standard input."""
    with desk.app():
        from preference_center import clock
        from preference_center.segments import sizing

        read = _read(rule, from_json)
        size = sizing.estimate(read, clock.now())
        found = {
            "text": str(read),
            "rule": read.as_json(),
            "people": size.number,
            "exact": size.exact,
            "give_or_take": size.margin,
            "cut": size.cut,
        }
        funnel = _funnel(str(read), topic_key)
    if as_json:
        desk.print_json(found | funnel)
        return
    click.echo(found["text"])
    click.echo(f"people: {_so_many(size)}")
    _tell(funnel)


@segments.command(epilog='Example: preference-center segments remove "Kraków"')
@click.argument("name")
def remove(name: str) -> None:
    """Take a segment away that nothing uses."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.segments import named, queries

        with transaction():
            segment = queries.by_name(name)
            kept, public_id = segment.name, segment.public_id
            named.remove(segment)
            audit.note(desk.ACTOR, "segment.removed", "segment", public_id)
    click.echo(f"The segment {kept} was removed.")


def _so_many(size: "Estimate") -> str:
    if size.exact:
        return str(size.number)
    if not size.margin:
        return f"more than {size.number}; there was no time to look at all. segments show counts every one"
    return f"about {size.number}, give or take {size.margin}{' (the time was up)' if size.cut else ''}"


def _read(rule: str, from_json: bool) -> "Rule":
    from preference_center.segments import queries

    text = sys.stdin.read() if rule == "-" else rule
    return queries.read_json(text) if from_json else queries.read(text)


def _as_data(segment: "Segment") -> dict[str, Any]:
    from preference_center.segments import queries

    return {
        "id": segment.public_id,
        "name": segment.name,
        "text": str(queries.rule_of(segment)),
        "rule": segment.rule,
        "version": segment.version,
        "changed_at": segment.changed_at,
    }


def _funnel(text: str, topic_key: str | None) -> dict[str, Any]:
    if topic_key is None:
        return {}
    from preference_center import clock
    from preference_center.campaigns import audience
    from preference_center.topics import catalogue

    counted = audience.funnel(catalogue.by_key(topic_key), text, clock.now())
    reasons = {str(reason): count for reason, count in counted.reasons.items()}
    return {"matched": counted.matched, "allowed": counted.allowed, "refused": reasons}


def _tell(funnel: dict[str, Any]) -> None:
    if not funnel:
        return
    click.echo()
    rows = [("matched", funnel["matched"]), *((f"- {why}", count) for why, count in funnel["refused"].items())]
    desk.print_table(("step", "people"), [*rows, ("may be mailed", funnel["allowed"])], "")
