"""What stands in a cell becomes a value of its kind, or is said to be none. Nothing in it can do harm."""

from datetime import UTC, datetime

import pytest

from preference_center.contacts import cells
from preference_center.contacts.models import AttributeKind


@pytest.mark.parametrize(
    ("text", "kept"),
    [  # the name-field list of security.md 4: kept as harmless text, trimmed
        pytest.param("<script>alert(1)</script>", "<script>alert(1)</script>", id="script"),
        pytest.param("{{7*7}}", "{{7*7}}", id="template"),
        pytest.param('=HYPERLINK("http://x")', '=HYPERLINK("http://x")', id="formula"),
        pytest.param("\tAn\x1cna\x07 \x85", "An na", id="control characters"),
        pytest.param("An\u202ena\u200b\ufeff", "Anna", id="bidi override and zero width"),
        pytest.param("a\u0301\u0302\u0303\u0304\u0305\u0306", "á\u0302\u0303\u0304", id="zalgo"),
        pytest.param("Buy at http://…", "Buy at http://…", id="an advert"),
        pytest.param("line\r\nBcc: x", "line Bcc: x", id="header injection"),
        pytest.param("Zofia", "Zofia", id="letters in parts are joined"),
        pytest.param("  Ł ", "Ł", id="spaces around"),
        pytest.param("x\udcb3", None, id="a byte that is no letter"),
        pytest.param("x\ufffd", None, id="a letter lost before"),
    ],
)
def test_text_is_trimmed_and_made_harmless(text: str, kept: str | None) -> None:
    assert cells.clean(text) == kept


@pytest.mark.parametrize(
    ("text", "number"),
    [("42", 42), ("-3", -3), ("1,5", 1.5), ("1.5", 1.5), ("1 234,50", 1234.5), ("1\u00a0234", 1234), ("x", None),
     ("1e999", None), ("NaN", None), ("٣", None), ("1.2.3", None)],
)  # fmt: skip
def test_numbers(text: str, number: float | None) -> None:
    assert cells.number(text) == number


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-31", datetime(2024, 5, 31, tzinfo=UTC)),
        ("2024-05-31 10:20:30", datetime(2024, 5, 31, 10, 20, 30, tzinfo=UTC)),
        ("2024-05-31T10:20:30.123+02:00", datetime(2024, 5, 31, 8, 20, 30, tzinfo=UTC)),
        ("2024-05-31T23:20Z", datetime(2024, 5, 31, 23, 20, tzinfo=UTC)),
        ("31.05.2024", datetime(2024, 5, 31, tzinfo=UTC)),
        ("31/05/2024 7:05", datetime(2024, 5, 31, 7, 5, tzinfo=UTC)),
        ("2024-02-30", None),
        ("31.05.24", None),
        ("yesterday", None),
        ("2024-05-31 25:00", None),
        ("0001-01-01 00:00+14:00", None),
    ],
)
def test_days_and_moments(text: str, moment: datetime | None) -> None:
    found = cells.moment(text)
    assert (found.moment if found else None) == moment


def test_month_first_is_read_when_the_column_is_written_so() -> None:
    found = cells.moment("05/31/2024", False)
    assert found is not None
    assert found.moment.date().isoformat() == "2024-05-31"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "2,5"], AttributeKind.number),
        (["00-950", "31-001"], AttributeKind.text),
        (["00950"], AttributeKind.text),
        (["+48123"], AttributeKind.text),
        (["2024-05-31", "01/02/2024"], AttributeKind.date),
        (["tak", "nie"], AttributeKind.boolean),
        (["1", "0"], AttributeKind.number),
        (["1", "x"], AttributeKind.text),
        ([], AttributeKind.text),
    ],
)
def test_the_narrowest_kind_that_fits_a_whole_column(texts: list[str], kind: AttributeKind) -> None:
    column = cells.Column()
    for text in texts:
        column.add(text)
    assert column.kind == kind


@pytest.mark.parametrize(
    ("text", "code"),
    [("PL", "PL"), ("pol", "PL"), ("Polska", "PL"), ("Poland", "PL"), ("Polonia", "PL"), ("Polônia", "PL"), ("UK", "GB"),
     ("Estados Unidos", "US"), ("Stany Zjednoczone", "US"), ("Brasil", "BR"), ("Brazylia", "BR"), ("Niemcy", "DE"),
     ("España", "ES"), ("HISZPANIA", "ES"), ("XX", None), ("Narnia", None)],
)  # fmt: skip
def test_countries_in_four_languages(text: str, code: str | None) -> None:
    assert cells.country(text) == code


@pytest.mark.parametrize(
    ("text", "language"),
    [("pl", "pl"), ("pl_PL", "pl"), ("PT", "pt-BR"), ("pt-BR", "pt-BR"), ("Polish", "pl"), ("polski", "pl"), ("angielski", "en"),
     ("español", "es"), ("Inglês", "en"), ("portugués", "pt-BR"), ("de", None), ("Klingon", None)],
)  # fmt: skip
def test_languages_by_code_and_name(text: str, language: str | None) -> None:
    assert cells.language(text) == language


def test_time_zones() -> None:
    assert cells.time_zone("Europe/Warsaw") == "Europe/Warsaw"
    assert cells.time_zone("Mars/Olympus") is None
    assert cells.time_zone("../../etc/passwd") is None
