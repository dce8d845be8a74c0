"""Makes up customers, always the same ones: as many as wanted, with addresses that are reserved for examples (RFC 2606)."""

import csv
import io
import random
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

COLUMNS = (
    "email",
    "first_name",
    "last_name",
    "language",
    "country",
    "city",
    "customer_since",
    "points",
    "newsletter",
    "consent_date",
)
_SINCE = datetime(2019, 3, 1, tzinfo=UTC)
_DAYS = 2700  # until July 2026

# language: share, countries, domains, cities, first names, last names
_PEOPLE: dict[str, tuple[int, tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        35,
        ("GB", "IE", "US", "NL"),
        ("example.com", "example.net", "mail.example"),
        ("London", "Leeds", "Bristol", "Dublin", "Cork", "Portland, OR", "Austin, TX", "Utrecht", "Edinburgh", "Bath"),
        ("Alice", "Oliver", "Grace", "Noah", "Ivy", "Ethan", "Ruby", "Leo", "Hannah", "Jack", "Maeve", "Samuel", "Zoë", "Conor"),
        ("Smith", "Baker", "O'Neill", "Hughes", "Clarke", "Whitfield", "Murphy", "Van Dijk", "Ward-Jones", "Reid", "Byrne"),
    ),
    "pl": (
        30,
        ("PL",),
        ("example.org", "poczta.example", "example.com"),
        ("Warszawa", "Kraków", "Łódź", "Gdańsk", "Poznań", "Wrocław", "Toruń", "Białystok", "Żywiec", "Świdnica"),
        ("Zofia", "Łukasz", "Małgorzata", "Stanisław", "Agnieszka", "Jędrzej", "Katarzyna", "Michał", "Bożena", "Paweł", "Ewa"),
        ("Nowak", "Wiśniewska", "Wójcik", "Kowalczyk", "Zieliński", "Szymańska", "Dąbrowski", "Mazur", "Krawczyk", "Żuk"),
    ),
    "es": (
        20,
        ("ES", "MX", "AR"),
        ("example.net", "correo.example", "example.org"),
        ("Madrid", "Sevilla", "Málaga", "A Coruña", "Ciudad de México", "Mérida", "Córdoba", "León", "Cádiz", "Rosario"),
        ("Lucía", "Martín", "Sofía", "José", "Begoña", "Íñigo", "Carmen", "Andrés", "Ximena", "Raúl", "Pilar"),
        ("García", "Muñoz", "Fernández", "Ibáñez", "López", "Peña", "Rodríguez", "Núñez", "Domínguez", "Ortiz"),
    ),
    "pt-BR": (
        15,
        ("BR", "PT"),
        ("example.org", "correio.example", "example.com"),
        ("São Paulo", "Rio de Janeiro", "Belém", "Florianópolis", "Lisboa", "Évora", "Braga", "Goiânia", "Maceió", "Olinda"),
        ("João", "Beatriz", "Antônio", "Conceição", "Luís", "Ângela", "Caio", "Inês", "Tiago", "Fátima", "Vitória"),
        ("Silva", "Gonçalves", "Araújo", "Magalhães", "Conceição", "Souza", "Assunção", "Ribeiro", "Guimarães", "Leão"),
    ),
}  # fmt: skip
_LANGUAGES = tuple(_PEOPLE)
_SHARES = tuple(people[0] for people in _PEOPLE.values())

# what an old newsletter system says of a customer, and how many in a thousand
_STATUSES = {"subscribed": 880, "": 42, "pending": 30, "unsubscribed": 32, "cleaned": 10, "complained": 3, "invalid": 3}
_WORDS, _WEIGHTS = tuple(_STATUSES), tuple(_STATUSES.values())


def people(count: int, seed: int = 2026) -> Iterator[list[str]]:
    """Rows of the columns above, no two with the same address."""
    chance = random.Random(seed)  # noqa: S311 (names, not secrets)
    for number in range(1, count + 1):
        language = chance.choices(_LANGUAGES, _SHARES)[0]
        _, countries, domains, cities, firsts, lasts = _PEOPLE[language]
        first, last = chance.choice(firsts), chance.choice(lasts)
        since = _SINCE + timedelta(days=chance.randrange(_DAYS))
        status = chance.choices(_WORDS, _WEIGHTS)[0]
        consented = since + timedelta(days=chance.randrange(90), minutes=chance.randrange(1440))
        yield [
            f"{_plain(first)}.{_plain(last)}{number}@{chance.choice(domains)}",
            first,
            last,
            language,
            chance.choice(countries),
            chance.choice(cities),
            since.date().isoformat(),
            str(chance.randrange(0, 5000)),
            status,
            consented.strftime("%Y-%m-%d %H:%M:%S") if status not in ("", "pending") else "",
        ]


def lines(count: int, seed: int = 2026) -> Iterator[bytes]:
    """A CSV of made-up customers, line by line, the column names first."""
    yield line(COLUMNS)
    for row in people(count, seed):
        yield line(row)


def stream(count: int, seed: int = 2026) -> BinaryIO:
    """The same as a file to be read, made while it is read."""
    return io.BufferedReader(_Lines(lines(count, seed)))  # type: ignore[type-var]


def line(cells: tuple[str, ...] | list[str]) -> bytes:
    """One row, every cell quoted."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()


class _Lines(io.RawIOBase):
    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._source, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _plain(name: str) -> str:
    bare = unicodedata.normalize("NFKD", name.lower().replace("ł", "l"))
    return "".join(sign for sign in bare if sign.isascii() and sign.isalnum())
