"""The consent texts: every version in every language, what changed, who agreed under which, and where a text is missing."""

from itertools import pairwise

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.consent import wordings as texts
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid
from preference_center.i18n import LANGUAGES
from preference_center.topics import catalogue
from preference_center.web.admin.gate import allowed, me, pages, whole_number

LONGEST = 2000


@pages.get("/wordings")
@allowed(Permission.look)
def wordings() -> ResponseReturnValue:
    live = catalogue.live()
    by_language = {language: texts.current_of(live, language) for language in LANGUAGES}
    return render_template(
        "admin/wordings.html", topics=live, by_language=by_language, languages=LANGUAGES, people=texts.people()
    )


@pages.get("/wordings/<key>/<language>")
@allowed(Permission.look)
def wording(key: str, language: str) -> ResponseReturnValue:
    return _page(key, language)


@pages.post("/wordings/<key>/<language>")
@allowed(Permission.edit_topics)
def write_wording(key: str, language: str) -> ResponseReturnValue:
    """A new version; those there are stay as they were seen."""
    _known(language)
    typed = request.form.get("text", "")
    try:
        with transaction():
            topic = catalogue.by_key(key)
            _check(typed, texts.newest_version(topic, language))
            made = texts.publish(topic, language, typed)
            audit.note(me().actor, "topic.wording_published", "topic", key, language=language, version=made.version)
    except Invalid as fault:
        return _page(key, language, typed, fault.message), 422
    except Conflict as fault:
        return _page(key, language, typed, fault.message), 409
    flash(_("Version %(number)s is in force now. Whoever saw another keeps it as proof.", number=made.version), "good")
    return redirect(url_for("admin.wording", key=key, language=language))


def _check(typed: str, newest: int) -> None:
    if len(typed) > LONGEST:
        raise Invalid(_("Keep the text under %(number)s characters.", number=LONGEST))
    if whole_number(request.form.get("after")) != newest:
        raise Conflict(_("Somebody wrote a new version meanwhile. Look at it below, then decide."))


def _known(language: str) -> None:
    if language not in LANGUAGES:
        abort(404)


def _page(key: str, language: str, typed: str | None = None, fault: str = "") -> str:
    _known(language)
    topic = catalogue.by_key(key)
    versions = texts.versions(topic, language)
    current = texts.current(topic, language)
    return render_template(
        "admin/wordings_versions.html",
        topic=topic,
        language=language,
        languages=LANGUAGES,
        versions=versions,
        current=current,
        newest=texts.newest_version(topic, language),
        people=texts.people(),
        changes={later.id: texts.changes(earlier.text, later.text) for later, earlier in pairwise(versions)},
        altered={version.id for version in versions if not texts.is_intact(version)},
        typed=typed if typed is not None else (current.text if current else ""),
        fault=fault,
    )
