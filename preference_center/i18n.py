"""Languages and dates, over Flask-Babel. Catalogues are plain `.po` files, compiled in memory at the first use."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, force_locale, format_date, get_domain, get_locale, refresh

LANGUAGES = {"en": "English", "pl": "Polski", "es": "Español", "pt-BR": "Português (Brasil)"}
_SPOKEN = "_flask_babel"  # where Flask-Babel keeps what is spoken, once it was asked
CATALOGUES = Path(__file__).parent / "translations"


def best(*wishes: str | None, default: str = "en") -> str:
    """The first wish we speak, `pl_PL` and `pt` counting as `pl` and `pt-BR`; else the default."""
    for wish in wishes:
        if not wish or len(wish) > 35:
            continue
        tag = wish.replace("_", "-").split(".")[0].lower()
        for language in LANGUAGES:
            if tag == language.lower() or tag.split("-")[0] == language.split("-")[0]:
                return language
    return default


def speak(language: str) -> str:
    """Use this language for the rest of the request, as the contact chose it; which one we can."""
    spoken: str = best(language)
    g.language = spoken
    if _SPOKEN in g:
        refresh()
    return spoken


def chosen_language() -> str | None:
    """The one chosen on this page, which the pages it leads to go on with; none: they speak as they would anyway."""
    wished = request.args.get("lang") if has_request_context() else None
    return wished if wished in LANGUAGES else None


def gettext(text: str, **values: object) -> str:
    """The text in the language spoken now. (Flask-Babel's own, with a type.)"""
    return str(get_domain().gettext(text, **values))


def ngettext(one: str, many: str, num: int, **values: object) -> str:
    """The same for a number of things."""
    return str(get_domain().ngettext(one, many, num, **values))


@contextmanager
def in_language(language: str) -> Iterator[None]:
    """Speak this language for a while: for mail, which is in the language of the one who gets it."""
    with force_locale(best(language).replace("-", "_")):
        yield


def init(app: Flask, default: str) -> None:
    _Babel(
        app,
        default_locale=default.replace("-", "_"),
        locale_selector=lambda: locale(_wanted(default)),
    )
    app.jinja_env.globals.update(
        languages=LANGUAGES, current_language=current_language, chosen_language=chosen_language
    )


def learn_all() -> None:
    """Read all languages now: for a process whose children would each do it for themselves."""
    for language in LANGUAGES:
        with in_language(language):
            gettext("")
            format_date(date(2000, 1, 1), "long")


def current_language() -> str:
    return _language_of(get_locale())


@lru_cache(maxsize=64)
def _language_of(locale: Any) -> str:
    """Asked for every sentence of a page, so each locale is looked at once."""
    return best(str(locale or "en"))


@lru_cache(maxsize=64)
def locale(language: str) -> Locale:
    """How days and numbers are written in it."""
    return Locale.parse(language, sep="-")


def _wanted(default: str) -> str:
    if "language" in g:
        return str(g.language)
    if not has_request_context():
        return default
    return best(request.args.get("lang"), *request.accept_languages.values(), default=default)


class _Babel(Babel):  # type: ignore[misc]
    @cached_property
    def domain_instance(self) -> "_PoDomain":
        return _PoDomain()


class _PoDomain(Domain):  # type: ignore[misc]
    def get_translations(self) -> Any:
        return _catalogue(current_language())


@cache
def _catalogue(language: str) -> Translations:
    file = CATALOGUES / f"{language}.po"
    if not file.exists():  # English is the language of the source
        return Translations()
    compiled = io.BytesIO()
    with file.open("rb") as po:
        write_mo(compiled, read_po(po, locale=language.replace("-", "_")))
    compiled.seek(0)
    return Translations(compiled, domain="messages")
