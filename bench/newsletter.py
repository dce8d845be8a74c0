"""The campaign that all measurements of sending share: about 17 kB on the wire, ten merge fields, a condition, 14 links in
HTML and 8 in text, and any number of made-up people, the same in every run."""

import random
from collections.abc import Iterator
from typing import Any

SUBJECT = "{{ first_name }}, the winter programme is here"
FIELDS = {
    "first_name": "text",
    "last_name": "text",
    "company": "text",
    "city": "text",
    "plan": "text",
    "points": "number",
    "renewal": "date",
    "favourite": "text",
    "second": "text",
    "branch": "text",
}

_STORIES = (
    "The river museum opens its upper floor again: eleven rooms of maps, and a reading corner with a stove that works.",
    "Zwölf Werkstätten öffnen an drei Abenden ihre Türen; wer mitmachen möchte, bringt bitte eine Schürze und etwas Zeit mit.",
    "Le marché d'hiver s'installe sur la grande place dès vendredi : soupes, lampes, laine et musique jusqu'à vingt et une heures.",
    "Our gardeners have written down what they planted and why, which tree came from where, and who waters it in dry weeks.",
)
_CELL = "font-family:Georgia,'Times New Roman',serif;font-size:16px;line-height:24px;color:#2a2a2a;margin:0 0 12px 0;"
_BUTTON = "display:inline-block;padding:10px 18px;background-color:#7a2e0b;color:#ffffff;text-decoration:none;"


def html() -> str:
    """The HTML part as its author wrote it."""
    heads = ("{{ favourite }}", "News from {{ city }}", "What is on", "{{ second }}")
    blocks = "".join(
        f'<tr><td align="left" valign="top" style="padding:16px 22px 4px 22px;{_CELL}">'
        f'<h2 style="font-size:19px;">{number + 1}. {heads[number % 4]}</h2>'
        f'<p style="{_CELL}">{_STORIES[number % 4]}</p>'
        f'<p style="{_CELL}"><a href="{_link(number)}" style="{_BUTTON}">Read on: story {number + 1}</a></p></td></tr>\n'
        for number in range(12)
    )
    return (
        '<!doctype html>\n<html><head><title>Winter</title></head><body style="margin:0;background-color:#efece6;">\n'
        '<table role="presentation" width="100%"><tr><td align="center"><table role="presentation" width="620">\n'
        f'<tr><td style="padding:22px;{_CELL}">Dear {{{{ first_name }}}} {{{{ last_name }}}} of {{{{ company }}}},</td></tr>\n'
        f'<tr><td style="padding:0 22px;{_CELL}">you have {{{{ points }}}} points on the {{{{ plan }}}} plan, which runs until '
        '{{ renewal|date("long") }}.{% if points > 500 %} That is a free ticket.{% else %} A few more make a ticket.'
        "{% endif %}</td></tr>\n"
        f"{blocks}"
        f'<tr><td style="padding:22px;{_CELL}">Your branch: {{{{ branch }}}}.</td></tr>\n'
        "</table></td></tr></table></body></html>\n"
    )


def text() -> str:
    """The text part."""
    stories = "".join(f"* {_STORIES[number % 4]}\n  {_link(number)}\n\n" for number in range(6))
    return (
        "Dear {{ first_name }} {{ last_name }} of {{ company }},\n\nyou have {{ points }} points on the {{ plan }} plan, "
        'which runs until {{ renewal|date("long") }}.\n\n' + stories
    )


def _link(number: int) -> str:
    return f"https://www.example.com/winter/{2026 + number % 2}/story-{number}?from=letter&amp;block={number}"


def people(count: int, seed: int = 11) -> Iterator[dict[str, Any]]:
    """Made-up people: address, language and what the fields say."""
    dice = random.Random(seed)
    for number in range(count):
        yield {
            "email": f"person{number}@town{number % 997}.example.org",
            "language": dice.choice(("en", "pl", "es")),
            "attributes": {
                "first_name": dice.choice(("Anna", "José", "Zoë", "Liam", "Noémie", "Bjørn", "Ayşe", "Oliver")),
                "last_name": dice.choice(("Müller", "García", "O'Brien", "Smith", "Lefèvre", "Ångström", "Novak")),
                "company": dice.choice(("Smith & Daughters", "Acme <Ltd>", "Café du Port")),
                "city": dice.choice(("Paris", "Köln", "Oslo")),
                "plan": dice.choice(("small", "large")),
                "points": dice.randrange(1000),
                "renewal": f"2027-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
                "favourite": dice.choice(("Herbarium", "Globe")),
                "second": "Letters never sent",
                "branch": f"No {dice.randrange(100)}",
            },
        }
