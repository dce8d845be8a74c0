"""Sign-up forms: which topics they offer, in which words, and the HTML to put them on another site."""

from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid
from preference_center.i18n import LANGUAGES
from preference_center.preferences import forms
from preference_center.preferences.models import SignUpForm
from preference_center.topics import catalogue
from preference_center.web.admin.gate import allowed, me, pages, whole_number
from preference_center.web.public import snippets


@pages.get("/forms")
@allowed(Permission.look)
def forms_list() -> ResponseReturnValue:
    found = forms.everything()
    return render_template(
        "admin/forms.html",
        forms=found,
        topics={topic.key: topic for topic in catalogue.everything()},
        spoken={form.key: forms.languages(form) for form in found},
        site=current_app.extensions["settings"].public_url,
    )


@pages.route("/forms/new", methods=["GET", "POST"])
@allowed(Permission.edit_topics)
def new_form() -> ResponseReturnValue:
    if request.method == "GET":
        return _page(None, _Filled("", [], {}, False, forms.MOST_AN_HOUR))
    filled = _filled()
    try:
        with transaction():
            made = forms.add(filled.key, filled.topics, filled.texts, asks_name=filled.asks_name, most=filled.most)
            audit.note(me().actor, "form.saved", "form", made.key)
    except (Invalid, Conflict) as fault:
        return _page(None, filled, fault), 422
    flash(_("The form is open."), "good")
    return redirect(url_for("admin.form", key=made.key))


@pages.get("/forms/<key>")
@allowed(Permission.look)
def form(key: str) -> ResponseReturnValue:
    found = forms.by_key(key)
    return _page(found, _Filled(key, found.topics, found.texts, found.asks_name, found.most_an_hour))


@pages.post("/forms/<key>")
@allowed(Permission.edit_topics)
def save_form(key: str) -> ResponseReturnValue:
    filled = _filled()
    try:
        with transaction():
            found = forms.by_key(key)
            forms.change(found, filled.topics, filled.texts, asks_name=filled.asks_name, most=filled.most)
            audit.note(me().actor, "form.saved", "form", key)
    except Invalid as fault:
        return _page(forms.by_key(key), filled, fault), 422
    flash(_("Saved. Forms that stand on other sites show new texts once you put the new HTML there."), "good")
    return redirect(url_for("admin.form", key=key))


@pages.post("/forms/<key>/close")
@allowed(Permission.edit_topics)
def close_form(key: str) -> ResponseReturnValue:
    with transaction():
        forms.close(forms.by_key(key))
        audit.note(me().actor, "form.closed", "form", key)
    flash(_("The form is closed. Nobody can sign up there any more."), "good")
    return redirect(url_for("admin.forms_list"))


class _Filled:
    """What stands in the fields."""

    def __init__(self, key: str, topics: list[str], texts: dict[str, Any], asks_name: bool, most: int) -> None:
        self.key, self.topics, self.texts, self.asks_name, self.most = key, topics, texts, asks_name, most


def _filled() -> _Filled:
    texts = {
        language: {field: request.form.get(f"{language}-{field}", "") for field in forms.FIELDS}
        for language in LANGUAGES
    }
    said = {language: words for language, words in texts.items() if any(words.values())}
    most = whole_number(request.form.get("most")) or 0
    key = request.form.get("key", "").strip()[:60]
    return _Filled(key, request.form.getlist("topics")[:100], said, request.form.get("asks_name") == "yes", most)


def _page(found: SignUpForm | None, filled: _Filled, fault: Invalid | Conflict | None = None) -> str:
    spoken = forms.languages(found) if found and not found.closed_at else []
    return render_template(
        "admin/form.html",
        form=found,
        filled=filled,
        fault=fault,
        topics=[topic for topic in catalogue.live() if topic.purpose_key != "service"],
        fields=forms.FIELDS,
        languages=LANGUAGES,
        site=current_app.extensions["settings"].public_url,
        snippets={language: snippets.html(found, language) for language in spoken} if found else {},
    )
