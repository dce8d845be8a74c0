"""Every address of the site, read from its URL map: what it sends along, what it must not do, and whom it refuses."""

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import AnyConverter, Rule
from werkzeug.test import TestResponse

from preference_center import clock, signed_links
from preference_center.accounts import invitations, sessions
from preference_center.accounts.permissions import Role
from preference_center.campaigns import scheduling, templates
from preference_center.campaigns.models import CampaignState
from preference_center.consent import wordings
from preference_center.consent.chain import seal
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import imports
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, MessageState
from preference_center.preferences import branding, forms
from preference_center.privacy import links as rights_links
from preference_center.privacy.models import Opens
from preference_center.segments import named
from preference_center.segments import queries as segments
from preference_center.signed_links import Power
from tests.support import links, make

SITE = "https://mail.example.com"
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN_IN_THE_CONSOLE = {"admin.sign_in", "admin.sign_in_code", "admin.sign_in_recovery", "admin.invitation"}
WITH_TOKEN = re.compile(r"/[pucdvro]/<")


@dataclass
class World:
    """A client, somebody signed in or not, and a plausible value for every part of an address, by name or rule."""

    client: FlaskClient
    values: dict[str, str]
    tokens: dict[str, str]
    database: Path

    def address(self, rule: Rule) -> str:
        values: dict[str, Any] = {}
        for name in rule.arguments:
            converter = rule._converters[name]
            if isinstance(converter, AnyConverter):
                values[name] = min(converter.items)
            elif name == "token":
                values[name] = self.tokens[rule.rule[: rule.rule.index("<")]]
            else:
                assert name in self.values, f"{rule.rule}: give this test a plausible {name}"
                values[name] = (
                    self.values[name] if name != "public_id" else self.values[f"public_id of {_resource(rule)}"]
                )
        _, path = rule.build(values)  # type: ignore[misc]
        return path

    def ask(self, method: str, rule: Rule) -> TestResponse:
        answer = self.client.open(self.address(rule), method=method, base_url=SITE)
        answer.get_data()
        answer.close()
        return answer


def _resource(rule: Rule) -> str:
    return rule.rule.split("/")[2]


def rules(app: Flask, method: str) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if method in (rule.methods or set())]


@pytest.fixture
def world(app: Flask, tmp_path: Path) -> Iterator[World]:
    with transaction():
        topic = make.topic()
        wordings.publish_defaults(topic)
        forms.add(topic.key, [topic.key])
        branding.save("", {"accent": "#00694a"})
        look = branding.current().digest  # type: ignore[union-attr]
        contact = make.follower(topic)
        campaign = scheduling.create("Autumn", topic, "Hello", "markdown", "Hello *you*.\n", actor="cli")
        issue = scheduling.create("Winter", topic, "Hello", "markdown", "Hello *you*.\n", actor="cli")
        issue.state, issue.approved_version = CampaignState.sent, 1
        issue.started_at = issue.archived_at = clock.now()
        letter = Message(campaign_id=issue.id, contact_id=contact.id, state=MessageState.sent, changed_at=clock.now())
        db.session.add(letter)
        model = templates.create("Monthly", subject="News", format="markdown", source="Hello")
        with (tmp_path / "people.csv").open("wb+") as file:
            file.write(b"email\nbo@example.org\n")
            file.seek(0)
            upload = imports.receive(file, "people.csv", "cli")
        segment = named.add("Polish", segments.read("language = pl"), "cli")
        invited = invitations.invite("owner@example.com", Role.owner)
        other = invitations.invite("new@example.com", Role.viewer)
        invited.user.tf_primary_method, invited.user.tf_totp_secret = "authenticator", "set"
        token = sessions.open_for(invited.user, "test")
        ids = {
            "public_id of contacts": contact.public_id,
            "public_id of campaigns": campaign.public_id,
            "public_id of imports": upload.public_id,
            "public_id of users": other.user.public_id,
            "public_id of segments": segment.public_id,
            "public_id of templates": model.public_id,
            "public_id of events": "nothing",  # these are only posted to
        }
        tokens = {
            "/p/": signed_links.ring().sign(Power.manage, [contact.public_id, contact.link_epoch]),
            "/u/": signed_links.ring().sign(Power.unsub, [contact.public_id, topic.key, 0]),
            "/v/": signed_links.ring().sign(Power.view, [contact.public_id, contact.link_epoch, letter.id]),
            "/c/": signed_links.ring().sign(Power.confirm, [contact.public_id, "wish"]),
            "/admin/invitation/": other.url.rpartition("/")[2],
        }
        record = db.session.scalars(select(ConsentRecord.public_id)).one()
        rights_links.ask(contact, Opens.data)
        uniquifier = invited.user.fs_uniquifier
    with transaction():
        seal.seal_all()  # a proof is given of sealed records alone
    tokens["/d/"] = links.rights(contact).rpartition("/")[2]
    tokens["/o/"], tokens["/r/"] = "nothing", "nothing-0"
    app.extensions["hooks"]["mailgun/shop"] = app.extensions["hooks"]["mailgun"]
    client = app.test_client()
    with client.session_transaction(base_url=SITE) as session:
        session |= {"token": token, "seen": clock.now().timestamp(), "_user_id": uniquifier, "_fresh": False}
    values = ids | {
        "public_id": "",
        "key": "news",
        "reason": "no_consent",
        "issue": issue.public_id,
        "letter": "A",
        "language": "en",
        "filename": "css/tokens.css",
        "number": "1",
        "record": record,
        "provider": "mailgun",
        "account": "shop",
        "form": "news",
        "digest": look,
    }
    yield World(client, values, tokens, Path(str(db.engine.url.database)))


def stranger(world: World, app: Flask) -> World:
    return World(app.test_client(), world.values, world.tokens, world.database)


def content_of(database: Path) -> str:
    """One digest of every row of every table, seen from a connection of its own."""
    connection = sqlite3.connect(database)
    try:
        digest = hashlib.sha256()
        for line in connection.iterdump():
            digest.update(line.encode())
        return digest.hexdigest()
    finally:
        connection.close()


def test_no_get_head_or_options_changes_a_row(app: Flask, world: World) -> None:  # S34, V3.5.3
    before = content_of(world.database)
    for method in SAFE:
        for rule in rules(app, method):
            answer = world.ask(method, rule)
            assert answer.status_code < 500, f"{method} {rule.rule}"
            assert content_of(world.database) == before, f"{method} {rule.rule} wrote something"


def test_the_digest_sees_one_changed_row(world: World) -> None:
    before = content_of(world.database)
    with transaction():
        make.contact("new@example.org")
    assert content_of(world.database) != before


def test_the_plausible_addresses_lead_to_real_pages(app: Flask, world: World) -> None:
    """Else the tests here would prove nothing: every page but a few answers 200 to its owner."""
    elsewhere = {"admin.sign_in", "admin.sign_in_code", "admin.sign_in_recovery", "public.confirm"}
    elsewhere.add("admin.set_up_second_factor")  # is set up already
    elsewhere.add("public.following")  # leads to other sites; tests/delivery/test_tracking.py follows real ones
    odd = {
        rule.endpoint: answer.status_code
        for rule in rules(app, "GET")
        if (answer := world.ask("GET", rule)).status_code not in (200, 206)
    }
    assert set(odd) - elsewhere == set(), odd


def test_every_answer_carries_the_headers(app: Flask, world: World) -> None:  # V3.4.1, V3.4.3–V3.4.6
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            assert missing_headers(rule, world.ask(method, rule)) == [], f"{method} {rule.rule}"


def test_pages_that_do_not_exist_or_do_not_allow_it_carry_them_too(app: Flask, world: World) -> None:
    for method, path in [
        ("GET", "/nowhere"),
        ("GET", "/admin/nowhere"),
        ("DELETE", "/subscribe"),
        ("GET", "/p/forged"),
        ("GET", "/%00"),
    ]:
        answer = world.client.open(path, method=method, base_url=SITE)
        assert answer.status_code in (404, 405)
        assert missing_headers(None, answer) == [], path


def missing_headers(rule: Rule | None, answer: TestResponse) -> list[str]:
    """What `security.md` 3.10 wants and this answer lacks."""
    headers = answer.headers
    policy = headers.get("Content-Security-Policy", "")
    console = answer.request.path.startswith("/admin")
    static = rule is not None and rule.endpoint in ("static", "public.look")
    framed = ("admin.preview_mail", "public.archive_mail", "public.view_mail_itself")
    mail = rule is not None and rule.endpoint in framed  # in a frame of ours, with inline styles as all mail
    wanted = {
        "policy begins with nothing": policy.startswith("default-src 'none'"),
        "nothing unsafe in it": (mail or "unsafe" not in policy) and "*" not in policy,
        "no frames around us": f"frame-ancestors '{'self' if mail else 'none'}'" in policy,
        "no base": "base-uri 'none'" in policy,
        "forms stay here": f"form-action '{'none' if mail else 'self'}'" in policy,
        "trusted types": "require-trusted-types-for 'script'" in policy,
        "no script on public pages": console or "script-src" not in policy,
        "HSTS": headers.get("Strict-Transport-Security", "").startswith("max-age=31536000"),
        "nosniff": headers.get("X-Content-Type-Options") == "nosniff",
        "referrer": headers.get("Referrer-Policy") == ("same-origin" if console else "no-referrer"),
        "permissions": "camera=()" in headers.get("Permissions-Policy", ""),
        "own window": headers.get("Cross-Origin-Opener-Policy") == "same-origin",
        "own resources": headers.get("Cross-Origin-Resource-Policy") == "same-origin",
        "not stored": static or headers.get("Cache-Control") == "no-store",
        "not indexed": rule is None or not WITH_TOKEN.match(rule.rule) or "noindex" in headers.get("X-Robots-Tag", ""),
        "no cookie without need": console or "Set-Cookie" not in headers,
    }
    return [name for name, holds in wanted.items() if not holds]


def test_the_console_is_closed_to_strangers(app: Flask, world: World) -> None:  # V8.2.1
    outside = stranger(world, app)
    before = content_of(world.database)
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/admin") or rule.endpoint in OPEN_IN_THE_CONSOLE:
            continue
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            answer = outside.ask(method, rule)
            refused = answer.status_code in (401, 403, 404) or (
                answer.status_code in (302, 303) and answer.headers["Location"].startswith("/admin/sign-in")
            )
            assert refused, f"{method} {rule.rule} answers {answer.status_code}"
            assert b"anna@example.org" not in answer.data
    assert content_of(world.database) == before


def test_the_pages_open_in_the_console_are_those_of_signing_in(app: Flask) -> None:
    marked = {name for name, view in app.view_functions.items() if getattr(view, "for_anybody", False)}
    assert marked == OPEN_IN_THE_CONSOLE


def test_every_other_page_of_the_console_names_a_permission(app: Flask) -> None:
    closed = {
        rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.startswith("/admin")
    } - OPEN_IN_THE_CONSOLE
    assert {name for name in closed if not hasattr(app.view_functions[name], "permission")} == set()
