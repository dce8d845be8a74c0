"""Every sentence for people outside the house exists in every language, with the same placeholders and right plurals."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient

from preference_center import i18n
from preference_center.db import transaction
from tests.support import links, shop

HERE = Path(__file__).parent.parent.parent
FOREIGN = [language for language in i18n.LANGUAGES if language != "en"]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
FOLDERS = {
    "templates/public": "jinja2",
    "templates/email": "jinja2",
    "templates/errors": "jinja2",
    "templates/files": "jinja2",
    "preference_center/web/public": "python",
    "preference_center/notices": "python",
    "preference_center/consent": "python",
    "preference_center/delivery": "python",
}

ERRORS = "preference_center/web/errors.py"


def sentences() -> set[str]:
    """What the public pages, the error pages and the mails say, in the words of the source."""
    found = set()
    for folder, kind in FOLDERS.items():
        method = [("**.py", "python")] if kind == "python" else [("**.html", "jinja2"), ("**.txt", "jinja2")]
        for _file, _line, message, _comments, _context in extract_from_dir(
            HERE / folder, method_map=method, keywords=KEYWORDS
        ):
            found.add(message if isinstance(message, str) else message[0])
    for _line, message, _comments, _context in extract_from_file("python", HERE / ERRORS, keywords=KEYWORDS):
        found.add(message if isinstance(message, str) else message[0])
    return found


def catalogue(language: str) -> Catalog:
    with (i18n.CATALOGUES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language.replace("-", "_"))


@pytest.mark.parametrize("language", FOREIGN)
def test_every_sentence_is_translated(language: str) -> None:
    """S57."""
    told = catalogue(language)
    wanted = sentences()
    assert len(wanted) > 120
    missing = [text for text in wanted if (message := told.get(text)) is None or not message.string or message.fuzzy]
    assert missing == []


@pytest.mark.parametrize("language", FOREIGN)
def test_placeholders_are_the_same(language: str) -> None:
    for message in catalogue(language):
        if message.id:
            ours = message.id[0] if isinstance(message.id, tuple) else message.id
            theirs = message.string if isinstance(message.string, tuple) else (message.string,)
            for text in theirs:
                assert set(re.findall(r"%\(\w+\)s", str(text))) == set(re.findall(r"%\(\w+\)s", ours)), text


GENDERED = re.compile(r"\b\w+ł(?:by)?[ea](?:by)?[śm]\b|\b\w+ł[ea]?by[śm]\b|\b(?:powinien|powinna)\w*|[Pp]an(?:i|a)?\b")


def test_polish_speaks_to_women_and_men_alike() -> None:
    """`screens.md` 5: no past tense that knows whether the reader is a woman or a man."""
    for found in ("zapisałeś się", "zapisałaś się", "chciałbyś", "chciałabyś", "prosiłem", "powinieneś", "dla Pani"):
        assert GENDERED.search(found), found
    texts = [str(message.string) for message in catalogue("pl") if message.id]
    assert [text for text in texts if GENDERED.search(text)] == []


@pytest.mark.parametrize(
    ("language", "count", "words"),
    [
        ("en", 1, "You will get 1 topic."),
        ("en", 5, "You will get 5 topics."),
        ("pl", 1, "Wybrano 1 temat."),
        ("pl", 2, "Wybrano 2 tematy."),
        ("pl", 5, "Wybrano 5 tematów."),
        ("pl", 22, "Wybrano 22 tematy."),
        ("es", 1, "Recibirás 1 tema."),
        ("es", 22, "Recibirás 22 temas."),
        ("pt-BR", 1, "Você receberá 1 tópico."),
        ("pt-BR", 5, "Você receberá 5 tópicos."),
    ],
)
def test_plurals_follow_the_language(app: Flask, language: str, count: int, words: str) -> None:
    """S57."""
    with app.test_request_context(), i18n.in_language(language):
        assert i18n.ngettext("You will get %(num)s topic.", "You will get %(num)s topics.", count) == words


def test_the_contacts_choice_wins_over_the_browser(client: FlaskClient) -> None:
    """S57."""
    with transaction():
        made = shop.topics()
        anna = shop.customer(made, "news", language="pl")
        path, leaving = links.manage(anna), links.unsub(anna, made["news"])
    text = client.get(path, headers={"Accept-Language": "es"}).text
    assert '<html lang="pl">' in text and "Ustawienia wiadomości e-mail" in text and "3 maja 2026" in text
    assert "Wyłączyć: Product news?" in client.get(leaving, headers={"Accept-Language": "es"}).text
    assert "¿Dejar de recibir" in client.get(leaving + "?lang=es").text
    assert "Recibe correos de" in client.get("/subscribe", headers={"Accept-Language": "es-MX,en;q=0.5"}).text
