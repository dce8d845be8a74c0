"""What an author should look at before a mail is sent: cheap checks over the finished mail, worded with a remedy."""

import re
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser

from preference_center.campaigns.models import CampaignVersion

CLIPPED_AT = 102_000  # Gmail shows no more of a mail, and hides the footer with the rest
LONG_SUBJECT = 60


class Weight(StrEnum):
    fix = "fix"
    know = "know"


@dataclass(frozen=True)
class Finding:
    code: str
    weight: Weight
    message: str
    line: int | None = None


def findings(version: CampaignVersion, html: str, text: str) -> list[Finding]:
    """What is to be said about a version and one rendering of it, the worst first."""
    found = [*_of_html(html), *_of_words(version, text), *_of_fields(version)]
    for line, what in version.compiled.get("left_out", []):
        found.append(Finding("left_out", Weight.know, f"{what} was left out: a mail cannot hold it.", line))
    return sorted(found, key=lambda finding: list(Weight).index(finding.weight))


def _of_html(html: str) -> list[Finding]:
    found = []
    size = len(html.encode())
    if size > CLIPPED_AT:
        found.append(
            Finding(
                "too_large",
                Weight.fix,
                f"The HTML is {size // 1000} kB. Gmail cuts a mail off after 102 kB, and the footer with it: shorten it.",
            )
        )
    looker = _Looker()
    looker.feed(html)
    looker.close()
    if looker.without_alt:
        found.append(
            Finding(
                "no_alt",
                Weight.fix,
                f"Images without an alternative text: {looker.without_alt}. Say what each shows, "
                'or write alt="" for a mere ornament.',
            )
        )
    if looker.without_words:
        found.append(
            Finding(
                "empty_link", Weight.fix, f"Links without words: {looker.without_words}. Nobody hears where they lead."
            )
        )
    return found


def _of_words(version: CampaignVersion, text: str) -> list[Finding]:
    found = []
    if len(text.partition("\n-- \n")[0].strip()) < 20:
        found.append(
            Finding("no_text", Weight.fix, "The text part says nothing: write one for people who read without HTML.")
        )
    if re.search(r"\[(draft|test|todo)\]|lorem ipsum", f"{version.subject} {version.source}", re.IGNORECASE):
        found.append(Finding("draft", Weight.fix, "A mark of a draft is still in the subject or the text."))
    if len(version.subject) > LONG_SUBJECT:
        found.append(
            Finding(
                "long_subject", Weight.know, f"The subject has {len(version.subject)} characters; phones show about 40."
            )
        )
    if not version.preheader:
        found.append(
            Finding("no_preheader", Weight.know, "Without a preheader, mailboxes show the first words of the mail.")
        )
    return found


def _of_fields(version: CampaignVersion) -> list[Finding]:
    bare = sorted(
        set(
            re.findall(
                r"\{\{ (\w+)(?:\|(?!default)\w+)* \}\}", f"{version.compiled['subject']} {version.compiled['html']}"
            )
        )
    )
    guarded = set(re.findall(r"\{% (?:el)?if [^%]*?(\w+)\|has_value", version.compiled["html"]))
    about_contact = [name for name in bare if name not in _ALWAYS_THERE and name not in guarded]
    if not about_contact:
        return []
    return [
        Finding(
            "no_default",
            Weight.know,
            f"Where it is unknown, nothing stands for: {', '.join(about_contact)}. "
            'Write {{ first_name|default("friend") }} or put it into an `if`.',
        )
    ]


_ALWAYS_THERE = frozenset(
    [
        "email",
        "language",
        "organisation",
        "postal_address",
        "topic",
        "unsubscribe_url",
        "preferences_url",
        "why",
        "subject",
        "preheader",
        "footer",
    ]
)


class _Looker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.without_alt = self.without_words = 0
        self._words: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.without_alt += "alt" not in given
            if self._words is not None:
                self._words.append(given.get("alt") or "")
        elif tag == "a" and "href" in given:
            self._words = [given.get("title") or ""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._words is not None:
            self.without_words += not "".join(self._words).strip()
            self._words = None

    def handle_data(self, data: str) -> None:
        if self._words is not None:
            self._words.append(data)
