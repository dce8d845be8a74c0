"""What the demo does, step by step; each step finds out what is done already, so that a second start goes on."""

import json
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from preference_center import clock, supervisor
from preference_center.accounts import audit, invitations
from preference_center.accounts import queries as users
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.commands import desk
from preference_center.commands.people import explaining
from preference_center.config import Settings
from preference_center.consent.declaring import declared
from preference_center.contacts import imports
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact, Import, ImportState
from preference_center.db import db, transaction
from preference_center.delivery import queries as delivery
from preference_center.delivery.models import Message, MessageState
from preference_center.samples import made_up, shop
from preference_center.supervisor import Child, Supervisor
from preference_center.topics import catalogue

ACTOR = "demo"
SUMS = ("audience", "sent", "skipped", "failed", "uncertain", "seconds", "mails_per_second")
_LEFT = (MessageState.sent, MessageState.delivered, MessageState.bounced, MessageState.complained)


@dataclass(frozen=True)
class Ports:
    site: int
    inbox: int
    smtp: int


def check(port: int) -> None:
    """The site's port and the inbox's next to it must be free when they were asked for."""
    for number in (port, port + 1):
        supervisor.check_port("127.0.0.1", number)


def ports(folder: Path, wanted: int | None, usual: int) -> Ports:
    """The ports of last time while they are free, so that links in older mails go on working."""
    if wanted is not None:
        chosen = Ports(wanted, wanted + 1, supervisor.free_port("127.0.0.1", wanted + 2))
    else:
        kept: dict[str, int] = {}
        with suppress(OSError, ValueError):
            kept = json.loads((folder / "ports.json").read_text())
        site = supervisor.free_port("127.0.0.1", kept.get("site", usual), usual)
        inbox = supervisor.free_port("127.0.0.1", kept.get("inbox", site + 1), site + 1)
        chosen = Ports(site, inbox, supervisor.free_port("127.0.0.1", kept.get("smtp", site + 2), site + 2))
    (folder / "ports.json").write_text(json.dumps(vars(chosen)))
    return chosen


def environment(folder: Path, chosen: Ports) -> dict[str, str]:
    """The settings of a made-up shop on this machine."""
    return {
        "DATA_DIR": str(folder),
        "PUBLIC_URL": f"http://127.0.0.1:{chosen.site}",
        "RELAY_URL": f"smtp://127.0.0.1:{chosen.smtp}",
        "MAIL_FROM": f"{shop.NAME} <letters@fern-and-lantern.example>",
        "ORGANISATION": shop.NAME,
        "POSTAL_ADDRESS": "1 Greenhouse Lane, Leeds, Great Britain",
        "PREFERENCE_CENTER_PORT": str(chosen.site),
    }


def keep(folder: Path, settings: dict[str, str]) -> Path:
    """The settings in a file that `PREFERENCE_CENTER_ENV` may name, so that every command can be tried on the demo."""
    file = folder / "settings.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    return file


def catcher(chosen: Ports) -> list[Child]:
    module = ("-m", "preference_center.catcher")
    return [
        Child("catcher", supervisor.python(*module, "smtp")),
        Child("inbox", supervisor.python(*module, "pages", str(chosen.inbox))),
    ]


def people(running: Supervisor, count: int | None) -> None:
    """The shop's topics and its customers, with the consent their file declares; once."""
    with transaction():
        shop.load(ACTOR)
    before = db.session.scalars(select(Import).where(Import.created_by == ACTOR).order_by(Import.id.desc())).first()
    if before is not None and before.state is ImportState.done:
        return
    number = before.id if before is not None and before.declared else _receive(count)
    with desk.Progress("Importing people", count, "rows") as bar:
        for step in declared.steps(number):
            with transaction():
                progress = step()
            share = progress.bytes_read / progress.bytes_total if progress.bytes_total else 0
            bar.at(progress.rows, count or (round(progress.rows / share) if share else None))
            running.tick()


def campaign() -> int:
    """The first campaign, scheduled for now; once."""
    with transaction():
        made = db.session.scalars(select(Campaign).where(Campaign.created_by == ACTOR)).first()
        if made is None:
            content = {**shop.CAMPAIGN, "topic": catalogue.by_key(shop.CAMPAIGN["topic"])}
            made = scheduling.create(**content, actor=ACTOR)
            audit.note(ACTOR, "campaign.created", "campaign", made.public_id)
        if made.state is CampaignState.draft:
            scheduling.schedule(made, clock.now())
            audit.note(ACTOR, "campaign.schedule", "campaign", made.public_id)
        return made.id


def follow(running: Supervisor, number: int) -> None:
    """Watch the campaign until it is over or paused."""
    with desk.Progress("Sending", contacts.count(), "mails decided") as bar:

        def over() -> bool:
            db.session.rollback()
            found = db.session.get_one(Campaign, number)
            figures = delivery.figures(found)
            total = figures.audience if found.filled_at else None
            bar.at(figures.audience - figures.queued - figures.sending, total)
            return found.state in (CampaignState.sent, CampaignState.cancelled, CampaignState.paused)

        running.wait(over, pause=0.25)


def sums(number: int) -> dict[str, Any]:
    """The closing sums: everybody meant is sent, skipped, failed or uncertain."""
    found = db.session.get_one(Campaign, number, populate_existing=True)
    figures = delivery.figures(found)
    sent = figures.sent + figures.delivered + figures.bounced + figures.complained
    begun, ended = found.started_at, found.finished_at
    seconds = (ended - begun).total_seconds() if begun and ended else 0.0
    return {
        "state": str(found.state),
        "trouble": found.pause_reason,
        "audience": figures.audience,
        "sent": sent,
        "skipped": figures.skipped,
        "failed": figures.failed,
        "uncertain": figures.uncertain,
        "seconds": round(seconds, 2),
        "mails_per_second": round(sent / seconds, 1) if seconds else 0.0,
    }


def owner(email: str) -> str | None:
    """A fresh one-time link for the demo's owner, until a password is chosen."""
    known = users.by_email(email)
    if known is not None and known.password:
        return None
    with transaction():
        return invitations.invite(email, "owner", actor=ACTOR).url


def places(number: int, inbox: int, link: str | None, settings: Settings, kept: Path) -> list[tuple[str, str]]:
    """What to open, in words and addresses."""
    found = []
    person = _somebody(number)
    if person is not None:
        topic = catalogue.by_key(shop.CAMPAIGN["topic"])
        urls = explaining.addresses_of(person, topic.key)
        found += [
            (f"The preference page of {person.email}:", urls["manage"]),
            ("The unsubscribe link in that person's mail:", urls["unsubscribe"]),
            ("The inbox with the mails that were sent:", f"http://127.0.0.1:{inbox}/"),
        ]
    if link:
        found.append(("The console; this link makes you its owner:", link))
    else:
        found.append(("The console:", f"{settings.public_url}/admin/"))
    command = shlex.join([sys.argv[0], "campaigns", "list"])
    found.append(("Commands on this demo:", f"PREFERENCE_CENTER_ENV={shlex.quote(str(kept))} {command}"))
    return found


def in_words(closing: dict[str, Any]) -> str:
    skipped = closing["skipped"]
    lines = [
        f"{closing['audience']} people were meant: {closing['sent']} mails sent, {sum(skipped.values())} people skipped, "
        f"{closing['failed']} failed, {closing['uncertain']} uncertain.",
        f"{closing['seconds']} seconds, {closing['mails_per_second']} mails a second.",
    ]
    if skipped:
        lines.insert(
            1, "Skipped: " + ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in skipped.items()) + "."
        )
    return "\n".join(lines)


def _receive(count: int | None) -> int:
    with transaction():
        if count is None:
            with shop.CSV.open("rb") as stream:
                received = imports.receive(stream, shop.CSV.name, ACTOR, imports.CLI_LIMIT)
        else:
            received = imports.receive(made_up.stream(count), "made-up.csv", ACTOR, 1 << 30, count)
        return declared.declare(received, **shop.TERMS).id


def _somebody(number: int) -> Contact | None:
    """Somebody who got the mail; one who reads English, if there is one."""
    got = select(Message.contact_id).where(Message.campaign_id == number, Message.state.in_(_LEFT))
    statement = select(Contact).where(Contact.id.in_(got)).order_by(Contact.language != "en", Contact.id).limit(1)
    return db.session.scalars(statement).first()
