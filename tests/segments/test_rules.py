"""Whom each rule finds, on both databases: the same people."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.segments import queries
from tests.support import make

pytestmark = pytest.mark.both_databases
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)

PEOPLE = {
    "anna": {"language": "pl", "jurisdiction": "PL", "source": "form:shop", "time_zone": "Europe/Warsaw"},
    "bea": {"language": "pt-BR", "jurisdiction": "BR", "source": "import:Shop 2025"},
    "carl": {"language": "en", "source": "100% admin_x"},
    "dora": {},
    "eve": {},
}
ATTRIBUTES: dict[str, dict[str, object]] = {
    "anna": {"city": "Kraków", "points": 500, "birthday": "1990-05-01", "vip": True, "likes": ["Plants", "lamps"]},
    "bea": {"city": "KRAKÓW", "points": 500.5, "birthday": "2026-06-10", "vip": False, "likes": ["pots"]},
    "carl": {"city": "Łódź", "points": 1200, "birthday": "2026-06-17"},
    "dora": {"city": "", "points": None, "birthday": "soon", "vip": None, "likes": []},
    "eve": {"city": None, "points": "900", "vip": "yes", "likes": "plants"},  # of the wrong kind: unknown
}
JOINED = {
    "anna": datetime(2025, 12, 31, 23, 59, tzinfo=UTC),
    "bea": datetime(2026, 1, 1, tzinfo=UTC),
    "carl": datetime(2026, 1, 1, 23, 59, tzinfo=UTC),
    "dora": datetime(2026, 6, 14, tzinfo=UTC),
    "eve": NOW,
}


def declare(**kinds: str) -> None:
    for key, kind in kinds.items():
        db.session.add(Attribute(key=key, name=key, kind=AttributeKind(kind), created_at=clock.now()))


@pytest.fixture
def people(app: Flask) -> None:
    with transaction():
        declare(city="text", points="number", birthday="date", vip="boolean", likes="set")
        for name, values in PEOPLE.items():
            contact = make.contact(f"{name}@example.org", attributes=ATTRIBUTES[name], **values)
            contact.created_at = JOINED[name]


def found(text: str) -> str:
    emails = db.session.scalars(select(Contact.email).where(queries.predicate(text, NOW)).order_by(Contact.email))
    return " ".join(str(email).partition("@")[0] for email in emails)


FINDS = {
    "": "anna bea carl dora eve",
    "everyone": "anna bea carl dora eve",
    "not everyone": "",
    "language = PL": "anna",
    "language in (pl, pt-br)": "anna bea",
    "language = pt": "bea",
    "language != pl": "bea carl dora eve",
    "country = pl": "anna",
    "country is unknown": "carl dora eve",
    "time_zone = Europe/Warsaw": "anna",
    'source contains "SHOP"': "anna bea",
    'source contains "%"': "carl",
    'source contains "n_x"': "carl",
    'source contains "/"': "",
    "source is known": "anna bea carl",
    "joined before 2026-01-01": "anna",
    "joined after 2026-01-01": "dora eve",
    "joined on 2026-01-01": "bea carl",
    "joined >= 2026-01-01": "bea carl dora eve",
    "joined <= 2026-01-01": "anna bea carl",
    "joined != 2026-01-01": "anna dora eve",
    "joined in the last 2 days": "dora eve",
    'city = "kraków"': "anna bea",
    'city != "kraków"': "carl dora eve",
    'city in ("ŁÓDŹ", "Gdańsk")': "carl",
    'city contains "ódź"': "carl",
    "city is unknown": "dora eve",
    "points = 500": "anna",
    "points > 500": "bea carl",
    "points < 1000": "anna bea",  # as numbers: "1200" < "500" as texts
    "points in (1200, 500.5)": "bea carl",
    "points is unknown": "dora eve",
    "points != 500": "bea carl dora eve",
    "birthday before 2000-01-01": "anna",
    "birthday on 2026-06-10": "bea",
    "birthday in the last 5 days": "bea",
    "birthday in the next 2 days": "carl",
    "birthday in the next 1 days": "",
    "birthday between 1990-05-01 and 2026-06-10": "anna bea",
    "joined in the next 1 days": "eve",
    "joined between 2026-01-01 and 2026-06-14": "bea carl dora",
    'city begins with "kra"': "anna bea",
    'source begins with "100%"': "carl",
    'source begins with "1__%"': "",
    "points between 500 and 1200": "anna bea carl",
    "points between 500.5 and 1199.9": "bea",
    "points is 500": "anna",
    "points is not 500": "bea carl dora eve",
    "points at least 500.5": "bea carl",
    "points less than 1000": "anna bea",
    'likes has "plants"': "anna",
    'likes has any of ("POTS", "lamps")': "anna bea",
    'not likes has "plants"': "bea carl dora eve",
    "likes is known": "anna bea",
    "likes is unknown": "carl dora eve",
    "birthday is unknown": "dora eve",
    "vip = yes": "anna",
    "vip = no": "bea",
    "vip is unknown": "carl dora eve",
    "vip = yes or points > 1000": "anna carl",
    'city = "Kraków" and not vip = yes': "bea",
    'not (city = "Kraków" or vip is unknown)': "",
}


def test_each_rule_finds_its_people(people: None) -> None:
    assert {text: found(text) for text in FINDS} == FINDS


def test_a_rule_and_its_not_are_everybody(people: None) -> None:
    for text in FINDS:
        others = found(f"not ({text or 'everyone'})")
        assert sorted([*found(text).split(), *others.split()]) == list(PEOPLE), text


def test_an_erased_contact_is_in_no_segment(people: None) -> None:
    with transaction():
        anna = db.session.scalars(select(Contact).where(Contact.email == "anna@example.org")).one()
        anna.erased_at, anna.email = clock.now(), None
    assert found("everyone") == "bea carl dora eve"


def test_a_value_is_never_a_piece_of_sql(people: None) -> None:
    assert found('city = "\' OR 1=1 --"') == ""
    assert found('city contains "\'; DROP TABLE contacts; --"') == ""
    assert found("") == "anna bea carl dora eve"


def test_an_attribute_must_be_declared(people: None) -> None:
    with pytest.raises(Invalid, match="no field `shoe_size`"):
        queries.predicate("shoe_size = 40", NOW)


def test_a_number_beyond_all_bounds_breaks_no_comparison(people: None) -> None:
    with transaction():
        make.contact("fritz@example.org", attributes={"points": 10**400})
    assert "fritz" in found("points is known")
    assert found("points < 501") == "anna bea"


def test_the_largest_rule_allowed_runs(people: None) -> None:
    cities = ", ".join(f'"city {number}"' for number in range(1000))
    assert found(f'city in ({cities}) or city = "Łódź"') == "carl"
    assert found(" or ".join(["points > 1000"] * 100)) == "carl"
