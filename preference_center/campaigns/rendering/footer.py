"""The footer the law wants in every mail: who sends it and from where, why, and how to leave or choose (S18 to S21).

Made for each language from `templates/email/campaign/`, as template text whose fields are filled for each contact.
"""

from dataclasses import dataclass

from flask import current_app
from flask_babel import force_locale, gettext
from markupsafe import Markup

from preference_center import i18n

FIELDS = ("organisation", "postal_address", "why", "topic", "unsubscribe_url", "preferences_url")


@dataclass(frozen=True)
class Footer:
    html: str
    text: str


def spoken(language: str) -> Footer:
    """The footer in a language of ours."""
    fields = {name: Markup(f"{{{{ {name} }}}}") for name in FIELDS}  # noqa: S704 (our own constants)
    with force_locale(language.replace("-", "_")):
        html, text = (
            current_app.jinja_env.get_template(f"email/campaign/footer.{kind}").render(fields)
            for kind in ("html", "txt")
        )
    return Footer(html.strip(), text.strip())


def sample_reason(language: str) -> str:
    """Stands in a preview where the mail says when and how this person agreed."""
    with force_locale(i18n.best(language).replace("-", "_")):
        return str(gettext("Here stands why this person gets this email: when and how they agreed."))
