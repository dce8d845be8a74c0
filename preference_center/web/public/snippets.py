"""A sign-up form as plain HTML for any other site: it posts here, needs no script, and shows the consent texts word for word."""

from flask import current_app, render_template

from preference_center import i18n
from preference_center.errors import Invalid
from preference_center.preferences import forms
from preference_center.preferences.models import SignUpForm


def html(form: SignUpForm, language: str) -> str:
    """To be put into a page as it is. Invalid when the form does not exist in this language."""
    offers = forms.offers(form, language)
    if not offers:
        spoken = ", ".join(forms.languages(form)) or "none: its topics have no consent texts"
        raise Invalid(f"The form {form.key} does not exist in {language}. It does in: {spoken}.")
    action = f"{current_app.extensions['settings'].public_url}/subscribe/{form.key}?lang={language}"
    with i18n.in_language(language):
        return render_template(
            "files/sign_up_form.html",
            form=form,
            action=action,
            offers=offers,
            language=language,
            words=form.texts.get(language, {}),
        )
