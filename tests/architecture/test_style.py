"""The habits of the house that a linter does not know: names, sizes, clock, environment, and the words on its pages."""

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.support.sources import CATALOGUES, MODULES, ROOT, TEMPLATES, TESTS, read

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "service", "services", "misc"}
LONGEST_FILE, LONGEST_TEST = 400, 500

# the only places that may look at the time or the environment
CLOCK = {"preference_center/clock.py"}
ENVIRONMENT = {"preference_center/config.py"}
# templates that show HTML made by ourselves from checked parts, each with a reason at the place
UNESCAPED: set[str] = set()

FORBIDDEN_WORDS = re.compile(r"\b(please|sorry|invalid|oops|click here|submit)\b", re.IGNORECASE)
INLINE = re.compile(
    r"<style\b|<script\b(?![^>]*\bsrc=)|<[a-z][^>]*\s(?:style|on[a-z]+)\s*=|href\s*=\s*[\"']?\s*javascript:",
    re.IGNORECASE,
)
PAGES = [file for file in TEMPLATES if file.parts[1] in {"public", "admin", "errors"} or len(file.parts) == 2]


def in_files(files: Iterable[Path], look: Callable[[str, str], Sequence[str]]) -> dict[str, Sequence[str]]:
    """What `look` finds in each file's text, by file; so that a failure names all places at once."""
    assert files
    return {str(file): found for file in files if (found := look(read(file), str(file)))}


def told(found: dict[str, Sequence[str]]) -> str:
    return "".join(f"\n{file}: {', '.join(what)}" for file, what in found.items())


def test_a_file_says_what_it_is_for_and_its_name_says_what_is_inside() -> None:
    assert told(in_files([*MODULES, *TESTS], wrong_with_the_file)) == ""


def wrong_with_the_file(source: str, name: str) -> list[str]:
    found = []
    if not name.endswith("__init__.py") and not ast.get_docstring(ast.parse(source)):
        found.append("begin with a docstring")
    if {part.removesuffix(".py") for part in Path(name).parts} & SAYS_NOTHING:
        found.append("the name says nothing")
    if source.count("\n") > (LONGEST_TEST if name.startswith("tests/") else LONGEST_FILE):
        found.append(f"{source.count(chr(10))} lines: split it")
    return found


def test_an_unnamed_purpose_an_empty_name_and_a_long_file_are_found() -> None:
    assert wrong_with_the_file("x = 1\n", "preference_center/consent/utils.py") == [
        "begin with a docstring",
        "the name says nothing",
    ]
    assert wrong_with_the_file('"""Long."""\n' * 401, "worker/jobs/all.py") == ["401 lines: split it"]


def test_one_clock_one_reader_of_the_environment_and_no_pickle() -> None:
    assert told(in_files(MODULES, breaches)) == ""


def breaches(source: str, name: str) -> list[str]:
    """Every use of a second clock, of the environment, or of pickle."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if name not in CLOCK and re.fullmatch(
                r"(datetime\.)?(datetime|date)\.(now|utcnow|today)|time\.time(_ns)?", text
            ):
                found.append(f"line {node.lineno}: {text}: ask clock.now()")
            if name not in ENVIRONMENT and text in {"os.environ", "os.getenv", "os.environb"}:
                found.append(f"line {node.lineno}: {text}: read settings from config")
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for imported in names:
            if {"pickle", "marshal", "shelve", "dill"} & {imported, module}:
                found.append(f"line {node.lineno}: pickle runs what it reads")
            if (module, imported) in {("time", "time"), ("os", "environ"), ("os", "getenv")}:
                found.append(f"line {node.lineno}: from {module} import {imported}")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.now(None)",
        "import datetime\ndatetime.datetime.utcnow()",
        "import time\ntime.time()",
        "from time import time",
        "import os\nos.environ['HOME']",
        "from os import getenv",
        "import pickle",
        "from pickle import loads",
    ],
)
def test_a_breach_is_found(source: str) -> None:
    assert breaches(source, "preference_center/consent/ledger.py")


def test_the_exceptions_are_still_needed() -> None:
    for name in CLOCK | ENVIRONMENT:
        assert breaches(read(Path(name)), ""), name
    for name in UNESCAPED:
        assert "|safe" in read(Path(name)).replace(" ", ""), name


def test_no_template_switches_escaping_off() -> None:  # V1.2.1
    off = re.compile(r"\|\s*safe\b|autoescape\s+false|\bMarkup\(")
    assert off.search("{{ name |safe }}")
    assert (
        told(in_files([file for file in TEMPLATES if str(file) not in UNESCAPED], lambda text, _: off.findall(text)))
        == ""
    )


def test_no_page_holds_style_or_script_inline() -> None:  # V3.4.3
    assert told(in_files(PAGES, lambda text, _: INLINE.findall(text))) == ""


@pytest.mark.parametrize(
    "html",
    ['<p style="color:red">', "<script>go()</script>", '<a onclick="go()">', '<a href="javascript:go()">', "<style>"],
)
def test_an_inline_style_or_script_is_found(html: str) -> None:
    assert INLINE.search(html)
    assert not INLINE.search('<script src="/static/js/a.js" defer></script><link rel="stylesheet" href="/a.css">')


def test_the_words_of_templates_are_ours() -> None:
    assert told(in_files(TEMPLATES, lambda text, _: FORBIDDEN_WORDS.findall(spoken(text)))) == ""


def test_the_words_spoken_from_code_are_ours() -> None:
    assert told(in_files(MODULES, lambda text, _: forbidden_texts(texts_of(text)))) == ""


def test_the_words_of_catalogues_are_ours() -> None:
    """The source's words; what a translation makes of them is its own language."""
    for catalogue in CATALOGUES:
        with (ROOT / catalogue).open("rb") as po:
            assert forbidden_texts(str(message.id) for message in read_po(po)) == []


def forbidden_texts(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if FORBIDDEN_WORDS.search(text)]


def texts_of(source: str) -> list[str]:
    """The texts of a module that people read: what goes through the catalogue."""
    return [
        argument.value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2] in {"_", "_l", "gettext", "lazy_gettext", "ngettext"}
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


def test_a_forbidden_word_in_code_is_found() -> None:
    assert forbidden_texts(texts_of('flash(_("Invalid value")); raise Invalid("x")')) == ["Invalid value"]


def spoken(template: str) -> str:
    """What a person can read of a template: no markup, no statements; but texts inside `_()` and spoken attributes."""
    said = re.findall(r"""_\(\s*(?:"([^"]*)"|'([^']*)')""", template)
    said += re.findall(r"""\b(?:alt|title|placeholder|aria-label|value)\s*=\s*(?:"([^"]*)"|'([^']*)')""", template)
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->|<[^>]*>", " ", template, flags=re.DOTALL)
    return plain + " " + " ".join(part for parts in said for part in parts)


def test_what_is_spoken_is_told_from_what_is_markup() -> None:
    assert not FORBIDDEN_WORDS.search(spoken('<button type="submit">{{ _("Save changes") }}</button>{{ form.submit }}'))
    for template in ("<p>Please wait</p>", "{{ _('Sorry, no') }}", '<img alt="Click here">'):
        assert FORBIDDEN_WORDS.search(spoken(template)), template
