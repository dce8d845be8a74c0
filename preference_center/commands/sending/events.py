"""`events`: what came back of our mail; looked at, read again, released, tried out."""

from datetime import datetime
from typing import Any

import click

from preference_center.commands import desk
from preference_center.commands.sending import mailbox, trying

_KINDS = [
    "accepted", "delivered", "deferred", "bounced", "rejected", "complained", "unsubscribed", "provider_reactivated",
    "opened", "clicked", "auto_replied", "unknown",
]  # fmt: skip


@click.group(epilog="Example: preference-center events list --kind bounced")
def events() -> None:
    """What came back of our mail: reports of providers, and mails."""


events.add_command(trying.test)
events.add_command(mailbox.mail)
events.add_command(mailbox.letters)
events.add_command(mailbox.letter)


@events.command("list", epilog="Example: preference-center events list --provider mailgun --kind complained --limit 20")
@click.option("--provider", "--source", "source", help="Of this provider, or `mailbox`.")
@click.option("--kind", type=click.Choice(_KINDS), help="Of this kind.")
@click.option("--effect", type=click.Choice(["applied", "waiting", "unmatched", "held"]), help="What came of them.")
@click.option("--since", type=desk.Moment(), help="Received since then.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@desk.as_json
def list_(
    source: str | None, kind: str | None, effect: str | None, since: datetime | None, limit: int, as_json: bool
) -> None:
    """The newest events. Contacts and campaigns are named by their ids."""
    with desk.app():
        from preference_center.delivery.events import queries
        from preference_center.delivery.events.models import Effect
        from preference_center.providers.base import Kind

        found = queries.listed(
            source=source,
            kind=Kind(kind) if kind else None,
            effect=Effect(effect) if effect else None,
            since=since,
            limit=limit,
        )
        rows = [_as_data(*row) for row in found]
    if as_json:
        desk.print_json(rows)
        return
    desk.print_table(
        ("id", "received", "source", "kind", "effect", "contact", "campaign", "status"),
        [
            (row["id"], desk.local(row["received_at"]), row["source"], _kind(row), row["effect"], row["contact"],
             row["campaign"], row["status"])
            for row in rows
        ],
        "No events.",
    )  # fmt: skip


@events.command(epilog="Example: preference-center events show 4fq2m7c3x5k6zr2a --raw")
@click.argument("id")
@click.option("--raw", is_flag=True, help="Print the post as it came, while it is kept. It names people; audited.")
@desk.as_json
def show(id: str, raw: bool, as_json: bool) -> None:
    """One event: what it says, how it was tied to what we sent, and what came of it."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.delivery.events import queries as events_
        from preference_center.errors import NotFound
        from preference_center.webhooks import inbox, queries

        event, contact, campaign = events_.by_public_id(id)
        found = _as_data(event, contact, campaign)
        post = queries.of_event(event.post_id)
        found["post"] = post.public_id if post else None
        if raw:
            if post is None:
                raise NotFound("The post this event was read from is not kept any more.")
            with transaction():
                audit.note(desk.ACTOR, "post.read", "post", post.public_id)
            click.echo(inbox.open_sealed(post).body)
            return
    if as_json:
        desk.print_json(found)
        return
    for name, value in found.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' '):>14}  {desk.local(value) if isinstance(value, datetime) else value}")


@events.command(epilog="Example: preference-center events replay --provider mailgun --since 2026-11-01")
@click.option("--provider", help="Only posts of this provider, or `mailbox`.")
@click.option("--since", type=desk.Moment(), help="Only posts received since then.")
@desk.as_json
def replay(provider: str | None, since: datetime | None, as_json: bool) -> None:
    """Read stored posts again, after a parser was mended. An event that was known has no second effect."""
    with desk.app():
        from preference_center.accounts import audit
        from preference_center.db import transaction
        from preference_center.webhooks import processing

        with transaction():
            posts = processing.replay(provider, since)
            audit.note(desk.ACTOR, "events.replay", provider=provider or "", posts=posts)
        processing.drain()
    if as_json:
        desk.print_json({"posts": posts})
    else:
        click.echo(f"{posts} posts were read again.")


@events.command(
    epilog="Example: preference-center events release --cause hard --since 2026-11-20 --domain example.org --dry-run"
)
@click.option("--held", is_flag=True, help="Events that came too fast to be believed, not suppressions.")
@click.option("--drop", is_flag=True, help="With --held: they were forged; they never take effect.")
@click.option("--cause", type=click.Choice(["hard", "soft", "relay"]), help="Suppressed by that; default: any bounce.")
@click.option("--since", type=desk.Moment(), help="Suppressed since then.")
@click.option("--until", type=desk.Moment(), help="Suppressed before then.")
@click.option("--domain", help="Only addresses of this domain.")
@click.option("--provider", "--source", "source", help="Only by reports of this provider, or of `mailbox`.")
@click.option("--kind", type=click.Choice(["bounced", "complained", "unsubscribed"]), help="With --held: only these.")
@click.option("--dry-run", is_flag=True, help="Count; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@desk.as_json
def release(held: bool, drop: bool, dry_run: bool, yes: bool, as_json: bool, **wanted: Any) -> None:
    """Let addresses go that bounces have suppressed, after a provider's or our own mistake; or let held events take effect.

    Complaints, and what people or staff have said, are never released here. Nobody is mailed without consent in any case.
    """
    if drop and not held:
        raise click.UsageError("--drop goes with --held.")
    with desk.app():
        act = _release_held if held else _release_suppressed
        count = act(drop=drop, dry_run=dry_run, yes=yes, **wanted)
    if as_json:
        desk.print_json({"dry_run": dry_run, "count": count})
    else:
        what = "events" if held else "addresses"
        done = "would be" if dry_run else "are"
        click.echo(f"{count} {what} {done} {'dropped' if drop else 'released'}.")


def _release_held(*, drop: bool, dry_run: bool, yes: bool, source: str | None, kind: str | None, **other: Any) -> int:
    from preference_center.accounts import audit
    from preference_center.db import transaction
    from preference_center.delivery.events import releasing

    if any(other.values()):
        raise click.UsageError("With --held, only --provider and --kind choose.")
    count = releasing.held(source, kind)
    if dry_run or not count:
        return count
    _ask(f"Let {count} held events {'stay without effect for good' if drop else 'take effect'}?", yes)
    step, done = releasing.drop if drop else releasing.let_act, 0
    while True:
        with transaction():
            some = step(source, kind)
        if not some:
            break
        done += some
    with transaction():
        audit.note(
            desk.ACTOR, f"events.{'drop' if drop else 'release'}", source=source or "", kind=kind or "", count=done
        )
    return done


def _release_suppressed(
    *, dry_run: bool, yes: bool, cause: str | None, since: datetime | None, until: datetime | None,
    domain: str | None, source: str | None, kind: str | None, drop: bool,
) -> int:  # fmt: skip
    from preference_center.accounts import audit
    from preference_center.db import transaction
    from preference_center.delivery.events import releasing
    from preference_center.delivery.events.releasing import Bounced

    if kind:
        raise click.UsageError("--kind goes with --held.")
    hashes = releasing.suppressed(Bounced(cause) if cause else None, since, until, domain, source)
    if dry_run or not hashes:
        return len(hashes)
    _ask(f"Let {len(hashes)} addresses go that bounces have suppressed?", yes)
    done = 0
    for start in range(0, len(hashes), releasing.AT_A_TIME):
        with transaction():
            done += releasing.let_go(hashes[start : start + releasing.AT_A_TIME])
    with transaction():
        audit.note(
            desk.ACTOR, "suppressions.release", cause=cause or "bounce", domain=domain or "", source=source or "",
            since=since and since.isoformat(), until=until and until.isoformat(), count=done,
        )  # fmt: skip
    return done


def _ask(words: str, yes: bool) -> None:
    if not yes:
        click.confirm(words, abort=True, err=True)


def _as_data(event: Any, contact: str | None, campaign: str | None) -> dict[str, Any]:
    return {
        "id": event.public_id,
        "received_at": event.received_at,
        "occurred_at": event.occurred_at,
        "source": event.source,
        "kind": str(event.kind),
        "bounce_class": event.bounce_class and str(event.bounce_class),
        "scope_all": event.scope_all,
        "machine": event.machine,
        "effect": str(event.effect),
        "matched_by": event.matched_by and str(event.matched_by),
        "contact": contact,
        "campaign": campaign,
        "status": event.status,
        "detail": event.detail,
        "provider_message_id": event.provider_message_id,
    }


def _kind(row: dict[str, Any]) -> str:
    detail = row["bounce_class"] or row["machine"]
    return f"{row['kind']} ({detail})" if detail else str(row["kind"])
