"""What an author should look at before a mail is sent: cheap checks over the finished mail, worded with a remedy."""

import hashlib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from typing import Any

from jinja2 import Environment, nodes

from preference_center.campaigns.authoring import contrast, links
from preference_center.campaigns.models import CampaignVersion

CLIPPED_AT = 102_000  # Gmail shows no more of a mail, and hides the footer with the rest
NEARLY = 0.85  # of that: what a merge field adds for somebody may be too much
LONG_SUBJECT = 60
SHORT_TEXT = 20
_DRAFT = re.compile(r"\[(draft|test|todo|entwurf|borrador|szkic|rascunho)\]|lorem ipsum", re.IGNORECASE)


class Weight(StrEnum):
    fix = "fix"
    know = "know"


@dataclass(frozen=True)
class Finding:
    code: str
    weight: Weight
    message: str
    line: int | None = None

    @property
    def key(self) -> str:
        """The same as long as nothing changes about it: by this somebody says that they know of it."""
        return f"{self.code}-{hashlib.sha256(f'{self.line} {self.message}'.encode()).hexdigest()[:10]}"


def findings(version: CampaignVersion, html: str, text: str) -> list[Finding]:
    """What is to be said about a version and one rendering of it, the worst first."""
    found = [*_of_html(html, version.source), *_of_words(version, text), *_of_fields(version)]
    for line, what in version.compiled.get("left_out", []):
        found.append(Finding("left_out", Weight.know, f"{what} was left out: a mail cannot hold it.", line))
    return sorted(found, key=lambda finding: list(Weight).index(finding.weight))


def _of_html(html: str, source: str) -> list[Finding]:
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
    elif size > CLIPPED_AT * NEARLY:
        found.append(
            Finding(
                "nearly_too_large", Weight.know, f"The HTML is {size // 1000} kB. Gmail cuts a mail off after 102 kB."
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
                f"Images without an alternative text: {len(looker.without_alt)}. Say what each shows, "
                'or write alt="" for a mere ornament.',
                _line_of(source, looker.without_alt[0]),
            )
        )
    if looker.without_words:
        found.append(
            Finding(
                "empty_link",
                Weight.fix,
                f"Links without words: {len(looker.without_words)}. Nobody hears where they lead.",
                _line_of(source, looker.without_words[0]),
            )
        )
    return [*found, *_of_links(looker.links, source), *_of_contrast(html, source)]


def _of_links(all_links: list[tuple[str, str]], source: str) -> list[Finding]:
    found = {}
    for address, words in all_links:
        if (told := links.odd(address, words)) and (address, told) not in found:
            found[address, told] = Finding("odd_link", Weight.know, told, _line_of(source, address, words))
    return list(found.values())


def _of_contrast(html: str, source: str) -> list[Finding]:
    return [
        Finding(
            "contrast",
            Weight.fix,
            f"{one.ink} on {one.ground} is hard to read: {one.ratio}:1, and {one.needed:g}:1 is needed. It begins "
            f"with “{one.words}”.",
            _line_of(source, one.words),
        )
        for one in contrast.faint(html)
    ]


def _line_of(source: str, *wanted: str) -> int | None:
    """Where the author wrote it; nothing when the words stand there in another form."""
    for words in wanted:
        position = source.find(words) if words.strip() else -1
        if position >= 0:
            return source.count("\n", 0, position) + 1
    return None


def _of_words(version: CampaignVersion, text: str) -> list[Finding]:
    found = []
    if len(said := text.partition("\n-- \n")[0].strip()) < SHORT_TEXT:
        what = "is very short" if said else "says nothing"
        found.append(
            Finding("no_text", Weight.fix, f"The text part {what}: write one for people who read without HTML.")
        )
    if _DRAFT.search(f"{version.subject} {version.source}"):
        mark = _DRAFT.search(version.source)
        line = version.source.count("\n", 0, mark.start()) + 1 if mark else None
        found.append(Finding("draft", Weight.fix, "A mark of a draft is still in the subject or the text.", line))
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
    about_contact = bare_fields(version)
    if not about_contact:
        return []
    first = re.search(rf"\{{\{{[^}}]*?\b{about_contact[0]}\b", version.source)
    return [
        Finding(
            "no_default",
            Weight.know,
            f"Where it is unknown, nothing stands for: {', '.join(about_contact)}. "
            'Write {{ first_name|default("friend") }} or put it into an `if`.',
            version.source.count("\n", 0, first.start()) + 1 if first else None,
        )
    ]


def bare_fields(version: CampaignVersion) -> list[str]:
    """The merge fields that leave a gap where we know nothing: without a default, and where no condition has asked for them."""
    bare: set[str] = set()
    sure: list[set[str]] = []  # of each open `if`: what is there in this branch
    refused: list[set[str]] = []  # and what is there in all branches after it
    for field, word, condition in _TAGS.findall(f"{version.compiled['subject']} {version.compiled['html']}"):
        if field:
            bare |= {field}.difference(*sure)
        elif word == "endif":
            sure.pop()
            refused.pop()
        else:
            if word == "if":
                sure.append(set())
                refused.append(set())
            test = _condition(condition) if condition else None
            sure[-1] = refused[-1] | (_asked(test, True) if test else set())
            refused[-1] = refused[-1] | (_asked(test, False) if test else set())
    return sorted(bare - _ALWAYS_THERE)


_TAGS = re.compile(r"\{\{ (\w+)(?:\|(?!default)\w+)* \}\}|\{% (if|elif|else|endif) ?(.*?) ?%\}")
_conditions = Environment(autoescape=True)


def _condition(words: str) -> nodes.Node:
    [found] = _conditions.parse(f"{{% if {words} %}}{{% endif %}}").body
    assert isinstance(found, nodes.If)  # noqa: S101
    return found.test


def _asked(test: nodes.Node, holds: bool) -> set[str]:
    """The fields that are there where this condition holds, or where it does not."""
    match test:
        case nodes.Not():
            return _asked(test.node, not holds)
        case nodes.And() | nodes.Or():
            both = _asked(test.left, holds), _asked(test.right, holds)
            return both[0] | both[1] if isinstance(test, nodes.And) == holds else both[0] & both[1]
        case nodes.Compare():
            return _compared(test, holds)
        case nodes.Filter(node=nodes.Name(name=name)):
            return {name} if holds else set()
    return set()


def _compared(test: nodes.Compare, holds: bool) -> set[str]:
    """A field that is not there is an empty text, no number, and not true."""
    [operand] = test.ops
    value, field = operand.expr, test.expr
    if not (isinstance(field, nodes.Filter) and isinstance(field.node, nodes.Name) and isinstance(value, nodes.Const)):
        return set()
    if field.name == "as_number":
        without = operand.op == "ne"
    else:
        empty = "" if field.name == "as_text" else False
        without = _SAID[operand.op](empty, value.value)
    return set() if without == holds else {field.node.name}


_SAID: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt,
    "lteq": operator.le, "gt": operator.gt, "gteq": operator.ge,
}  # fmt: skip
_ALWAYS_THERE = frozenset(
    [
        "email",
        "language",
        "organisation",
        "postal_address",
        "topic",
        "unsubscribe_url",
        "preferences_url",
        "browser_url",
        "why",
        "subject",
        "preheader",
        "footer",
    ]
)


class _Looker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.without_alt: list[str] = []  # addresses of images
        self.without_words: list[str] = []  # addresses of links
        self.links: list[tuple[str, str]] = []  # address, words
        self._words: list[str] | None = None
        self._href = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            if "alt" not in given:
                self.without_alt.append(given.get("src") or "")
            if self._words is not None:
                self._words.append(given.get("alt") or "")
        elif tag == "a" and "href" in given:
            self._words, self._href = [given.get("title") or ""], given["href"] or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._words is not None:
            words = " ".join("".join(self._words).split())
            self.links.append((self._href, words))
            if not words:
                self.without_words.append(self._href)
            self._words = None

    def handle_data(self, data: str) -> None:
        if self._words is not None:
            self._words.append(data)
