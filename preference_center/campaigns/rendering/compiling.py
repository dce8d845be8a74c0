"""From what an author wrote to the templates of a version: subject, preheader, HTML and text, each checked and complete."""

import re
from collections.abc import Mapping
from typing import Any

from preference_center.campaigns.authoring import blocks, layout, markup, plaintext
from preference_center.campaigns.models import ContentFormat
from preference_center.campaigns.rendering import templating
from preference_center.campaigns.rendering.templating import Piece
from preference_center.contacts.models import AttributeKind
from preference_center.errors import Invalid

MAX_SUBJECT = 250
FOOTER = "{{ footer }}"

ABOUT_CONTACT = frozenset({"email", "language"})
ABOUT_MAIL = frozenset({"organisation", "postal_address", "topic"})
IN_BODY = frozenset({"unsubscribe_url", "preferences_url", "browser_url", "why", "subject", "preheader", "footer"})
RESERVED = ABOUT_CONTACT | ABOUT_MAIL | IN_BODY


def compiled(fields: Mapping[str, Any], declared: Mapping[str, AttributeKind]) -> dict[str, Any]:
    """The templates as plain data. Invalid, with field, line (of blocks: path) and what to write instead."""
    if fields["format"] == ContentFormat.blocks:
        written = blocks.written_out(fields["source"])
        text = fields["text_source"] if fields["text_source"].strip() else written.text
        try:
            return compiled(
                {**fields, "format": ContentFormat.mjml, "source": written.mjml, "text_source": text}, declared
            )
        except Invalid as fault:
            raise blocks.retold(fault, written) from None
    known = set(declared) | ABOUT_CONTACT | ABOUT_MAIL
    subject = _line(fields["subject"], known, "subject")
    if not "".join(map(str, subject)).strip():
        raise Invalid("Give the mail a subject.", {"subject": "Give the mail a subject."})
    preheader = _line(fields["preheader"], known, "preheader")
    body = templating.read(fields["source"], known | IN_BODY, "source")
    if not any(piece.kind == "field" or piece.code.strip() for piece in body):
        raise Invalid("Write the content of the mail.", {"source": "Write the content of the mail."})
    made = markup.document(ContentFormat(fields["format"]), body)
    return {
        "subject": templating.joined(subject),
        "preheader": templating.joined(preheader),
        "html": _html(made, templating.joined(preheader)),
        "text": _text(fields, body, made, known | IN_BODY),
        "left_out": [[line, what] for line, what in made.left_out[:100]],
    }


def printable(line: str) -> str:
    """A line without control characters. The joiners stay: emoji and Persian are written with them."""
    return "".join(char for char in line if char.isprintable() or char in "\u200c\u200d")


def _line(source: str, known: set[str], where: str) -> list[Piece]:
    if len(source) > MAX_SUBJECT:
        words = f"The {where} is too long: {MAX_SUBJECT} characters at most."
        raise Invalid(words, {where: words})
    if source != printable(source):
        words = f"The {where} is one line without control characters."
        raise Invalid(words, {where: words})
    return templating.read(source, known, where)


def _html(made: markup.Document, preheader: str) -> str:
    html = templating.joined(made.html)
    html = html.replace('lang="pc-language"', 'lang="{{ language }}"', 1)
    html = html.replace("<title>pc-title</title>", "<title>{{ subject }}</title>", 1)
    begin = re.search(r"<body[^>]*>", html)
    end = html.rfind("</body>")
    assert begin and end > 0, "the inliner always writes a body"  # noqa: S101
    inner = html[begin.end() : end]
    if FOOTER not in inner:
        inner += FOOTER
    return html[: begin.end()] + layout.preheader("{{ preheader }}" if preheader else "") + inner + html[end:]


def _text(fields: Mapping[str, Any], body: list[Piece], made: markup.Document, known: set[str]) -> str:
    if fields["text_source"].strip():
        pieces = templating.read(fields["text_source"], known, "text_source")
    elif ContentFormat(fields["format"]) is ContentFormat.markdown:
        pieces = body  # Markdown is made to be read as it is
    else:
        is_mark = made.marks.any.fullmatch
        pieces = made.marks.restored(plaintext.of(made.marked, lambda comment: is_mark(comment) is not None))
    text = templating.joined(_with_addresses_escaped(pieces)).rstrip()
    return (text if FOOTER in text else f"{text}\n\n{FOOTER}") + "\n"


def _with_addresses_escaped(pieces: list[Piece]) -> list[Piece]:
    """A field that stands inside an address is escaped for one, as it is in the HTML part."""
    done: list[Piece] = []
    before = ""
    for piece in pieces:
        inside = piece.kind == "field" and re.search(r"https?://[^\s<>\"]+\Z", before) and piece.name not in RESERVED
        if inside and not piece.code.endswith("|in_address"):
            piece = Piece("field", f"{piece.code}|in_address", piece.line, piece.name, piece.filtered)
        before = before[-2000:] + (piece.code if piece.kind == "text" else "x" if piece.kind == "field" else " ")
        done.append(piece)
    return done
