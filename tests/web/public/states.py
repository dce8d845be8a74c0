"""Every public page in every state (`screens.md` 3.3 and 3.4), made once: where it is, and what to post there, if anything."""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import time_machine
from flask import Flask
from flask.testing import FlaskClient

from preference_center import i18n
from preference_center.consent import wordings
from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses, moving
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.notices.models import Notice
from preference_center.preferences import choices, confirmation, forms
from preference_center.privacy import links as rights
from preference_center.privacy.models import Opens
from preference_center.signed_links import Power, ring
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText
from tests.support import links, make, shop
from tests.web.public import acted
from tests.web.public.acted import Post

BY_LINK = Evidence(source="link", language="en")
NAMES = {
    "en": ("Product news", "Offers", "Events"),
    "pl": ("Nowości o produktach", "Oferty i promocje", "Wydarzenia"),
    "es": ("Novedades del producto", "Ofertas", "Eventos"),
    "pt-BR": ("Novidades do produto", "Ofertas", "Eventos"),
}


@dataclass
class States:
    """By name: a path, and the fields to post there; `{language}` in a path is filled in by `at`."""

    paths: dict[str, str] = field(default_factory=dict)
    posts: dict[str, Post] = field(default_factory=dict)
    once: Callable[[], Mapping[str, Post]] = dict  # what can be posted once, made anew

    def at(self, language: str) -> dict[str, tuple[str, dict[str, list[str]] | None]]:
        found: dict[str, tuple[str, dict[str, list[str]] | None]] = {
            name: (_spoken(path, language), None) for name, path in self.paths.items()
        }
        posts = self.posts | dict(self.once())
        return found | {name: (_spoken(path, language), data) for name, (path, data) in posts.items()}


def _spoken(path: str, language: str) -> str:
    path, hash_, anchor = path.partition("#")
    return f"{path}{'&' if '?' in path else '?'}lang={language}{hash_}{anchor}"


def build(app: Flask) -> States:
    """In an empty database, with the app's context pushed."""
    states, client = States(), app.test_client(use_cookies=False)
    topics = _topics()
    people = _people(topics)
    states.paths |= {f"preferences, {name}": links.manage(one) for name, one in people.items()}
    _around(states, people["two on"], topics)
    _signing_up(states, client)
    _acting(states, client, topics)
    _many(states)
    states.paths |= acted.published(topics["news"]) | acted.ending(topics["events"]) | acted.fail_on_demand(app)
    waiting = (f"once{number}@example.net" for number in count(1))
    states.once = lambda: {"confirmed": (_wished(next(waiting)), {}), **dict(acted.once(client, topics))}
    return states


def _topics() -> dict[str, Topic]:
    with transaction():
        topics = shop.topics()
        for place, key in enumerate(("news", "offers", "events")):
            for language, names in NAMES.items():
                about = {"description": f"{names[place]}, {names[(place + 1) % 3]}.", "cadence": "2–4 / 30"}
                catalogue.reword(topics[key], language, names[place], **about)
            wordings.publish_defaults(topics[key])
        catalogue.offer_cadence(topics["offers"], True)
        sms = catalogue.add("sms", {"en": TopicText(language="en", name="Offers by text message")}, "sms")
        wordings.publish_defaults(sms)
        gone = catalogue.add("gone", {"en": TopicText(language="en", name="Old magazine")})
        wordings.publish_defaults(gone)
        hidden = catalogue.add("hidden", {"en": TopicText(language="en", name="مرحبا " * 9)}, public=False)
        forms.add("shop", ["offers", "news"], {"en": {"title": "Letters", "thanks": "Bye."}}, asks_name=True)
        forms.add("all", ["offers", "news"], asks_name=True)
    return topics | {"gone": gone, "hidden": hidden}


def _people(topics: dict[str, Topic]) -> dict[str, Contact]:
    with transaction():
        made = {
            "two on": shop.customer(topics, "news", "offers"),
            "nothing on": shop.customer(topics, email="b@example.org"),
            "everything on": shop.customer(topics, "news", "offers", "events", "hidden", email="c@example.org"),
            "paused": shop.customer(topics, "news", email="d@example.org", time_zone="Europe/Warsaw"),
            "stopped": shop.customer(topics, "news", "offers", email="e@example.org"),
            "bounced": shop.customer(topics, "news", email="f@example.org"),
            "restricted": shop.customer(topics, "news", email="g@example.org"),
            "a topic retired": shop.customer(topics, "gone", "news", email="h@example.org"),
        }
        choices.pause(made["paused"], datetime.now(UTC) + timedelta(days=40), BY_LINK)
        choices.stop_all(made["stopped"], BY_LINK)
        assert made["bounced"].address_hash
        register.suppress(made["bounced"].address_hash, Cause.bounce, "test")
        made["restricted"].restrict(datetime.now(UTC))
        catalogue.retire(topics["gone"])
    return made


def _forgotten() -> Contact:
    with transaction():
        gone = make.contact("gone@example.org")
        gone.forget(datetime.now(UTC))
    return gone


def _around(states: States, anna: Contact, topics: dict[str, Topic]) -> None:
    """What hangs on links of one person."""
    own = links.manage(anna)
    record = choices.for_contact(anna, "en").topics[0].record
    assert record is not None
    states.paths |= {
        "time zone": f"{own}/zone",
        "consents": f"{own}/consents",
        "receipt": f"{own}/consents/{record.public_id}",
        "unsubscribe": links.unsub(anna, topics["offers"]),
        "unsubscribe, already off": links.unsub(anna, topics["events"]),
        "stop all": links.unsub(anna),
        "link of an earlier sign-up": links.unsub(_forgotten(), topics["offers"]),
        "dead link": "/p/nope",
        "dead data link": "/d/nope",
        "no such page": "/nope",
        "ask for data": "/data",
        "ask for a link": "/link",
    }
    with transaction():
        rights.ask(anna, Opens.data)
        rights.ask(anna, Opens.address)
        change = moving.note(anna, addresses.parse("anna@new.example.com"))
        carried = [anna.public_id, "address", change.public_id]
    data = links.rights(anna)
    states.paths |= {
        "data": data,
        "delete": f"{data}?show=delete",
        "change address": links.rights(anna, "address"),
        "confirm a new address": f"/c/{ring().sign(Power.confirm, carried)}",
    }
    states.posts |= {
        "link sent": ("/link", {"email": ["a@example.org"]}),
        "link, wrong address": ("/link", {"email": ["a@b"]}),
        "data link sent": ("/data", {"email": ["a@example.org"]}),
        "data link, wrong address": ("/data", {"email": ["a@b"]}),
        "no such way": ("/nope", {}),
    }


def _signing_up(states: States, client: FlaskClient) -> None:
    for name, email in {"waiting": "w@example.org", "used": "u@example.org", "superseded": "s@example.org"}.items():
        states.paths[f"confirm, {name}"] = _wished(email)
    client.post(states.paths["confirm, used"])
    with transaction():
        stopped = contacts.by_email("s@example.org")
        assert stopped is not None
        choices.stop_all(stopped, BY_LINK)
    waiting = contacts.by_email("w@example.org")
    assert waiting is not None
    states.paths["preferences, waiting for confirmation"] = links.manage(waiting)
    with time_machine.travel(datetime.now(UTC) - timedelta(days=8)):
        states.paths["confirm, expired"] = _wished("x@example.org")
    closed = _wished("closed@example.org")
    with transaction():
        register.suppress(addresses.parse("closed@example.org").hash, Cause.bounce, "test")
    states.posts["confirm, address closed"] = (closed, {})
    states.paths |= {
        "sign-up": "/subscribe",
        "sign-up form": "/subscribe/all",
        "sign-up, English alone": "/subscribe/shop",
    }
    filled = {"topic": ["news"], "name": ["Ana"], "email": ["z@example.org"]}
    states.posts |= {
        "sign-up, nothing filled in": ("/subscribe/all", {}),
        "check your inbox": ("/subscribe/all", filled),
        "correct the address": ("/subscribe/all", filled | {"act": ["change"]}),
    }
    page = client.post("/subscribe/all", data=filled).text
    for _ in range(2):
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=70)):
            sent = html.unescape(re.findall(r'name="sent" value="([^"]*)"', page)[0])
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=140)):
            page = client.post("/subscribe/all", data=filled | {"sent": sent, "act": "again"}).text
    sent = html.unescape(re.findall(r'name="sent" value="([^"]*)"', page)[0])
    states.posts["check your inbox, no more today"] = ("/subscribe/all", filled | {"sent": [sent], "act": ["again"]})


def _wished(email: str) -> str:
    with transaction():
        news = catalogue.by_key("news")
        text = wordings.current(news, "en")
        assert text is not None
        confirmation.ask(addresses.parse(email), [(news, text)], "form:subscribe", Evidence("form", language="en"))
        newcomer = contacts.by_email(email)
        assert newcomer is not None
        asked = db.session.query(Notice).filter_by(contact_id=newcomer.id).order_by(Notice.id).first()
        assert asked is not None
        return links.confirm(newcomer, asked.payload["wish"])


def _acting(states: States, client: FlaskClient, topics: dict[str, Topic]) -> None:
    """What stands on the page after an act."""
    with transaction():
        two = {name: shop.customer(topics, "news", "offers", email=f"{name}@example.org") for name in ("v", "y", "q")}
        paths = {name: links.manage(one) for name, one in two.items()}

    def form(path: str) -> dict[str, list[str]]:
        page = html.unescape(client.get(path).text)
        shown = re.findall(r'name="shown" value="([^"]*)"', page)
        return {"shown": shown, "proof": re.findall(r'name="proof" type="hidden" value="([^"]*)"', page)[:1]}

    def save(path: str, fields: dict[str, list[str]], *ticked: str) -> str:
        answer = client.post(path, data=fields | {"act": "save", "topic": list(ticked)})
        assert answer.status_code == 303
        return str(answer.location)

    states.paths["saved"] = save(paths["v"], form(paths["v"]), "events")
    states.paths["nothing changed"] = save(paths["y"], form(paths["y"]), "news", "offers")
    stale = form(paths["q"])
    save(paths["q"], form(paths["q"]), "news", "events")
    states.paths["changed elsewhere"] = save(paths["q"], stale, "offers")
    states.posts |= {
        "a break without a day": (paths["y"], form(paths["y"]) | {"act": ["pause"], "length": ["until"]}),
        "open for too long": (paths["y"], {"act": ["save"]}),
        "left one topic": (links.unsub(two["y"], topics["events"]), {"stop": ["topic"]}),
        "cannot be taken back": (paths["y"], form(paths["y"]) | {"act": ["undo"], "receipt": ["old"]}),
    }


def _many(states: States) -> None:
    """Twelve topics in groups, last, since everybody sees them: so they are private to one follower."""
    with transaction():
        extra = {}
        for number in range(12):
            long = "Unbelievablylongtopicnamewithoutanyplacetobreakit" if number == 3 else "A topic"
            text = TopicText(language="en", name=f"{long} {number}", heading="Shop" if number < 6 else "Magazine")
            extra[f"many{number}"] = catalogue.add(f"many{number}", {"en": text}, public=False)
            wordings.publish_defaults(extra[f"many{number}"])
        follower = make.contact("m@example.org")
        path = links.manage(follower)
        for topic in extra.values():
            text_ = wordings.current(topic, "en")
            assert text_ is not None
            shown = {topic.key: choices.Shown(on=False, wording_id=text_.id)}
            topic.public = True
            choices.apply(follower, shown, {topic.key}, BY_LINK)
            topic.public = False
    states.paths["preferences, fifteen topics in groups"] = path
    assert set(NAMES) == set(i18n.LANGUAGES)
