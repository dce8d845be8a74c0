"""Text a marketer wrote is data, not program: it is taken apart by Jinja's lexer and parser, and only what is allowed here is
put together again, from the checked syntax tree and never from the author's own words.

Allowed: text; `{{ field }}` with filters of a short list; `{% if %}`, `{% elif %}`, `{% else %}`, `{% endif %}` over fields and
constants. The result runs in `sandbox.py`. (`security.md` 3.1)
"""

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import Environment, TemplateSyntaxError, nodes

from preference_center.errors import Invalid

MAX_SOURCE = 200_000
MAX_DEPTH = 5
MAX_FIELDS = 2_000  # placeholders in one text
MAX_TAG = 400  # characters between {{ and }}
MAX_FILTERS = 5
MAX_CONSTANT = 200

# each filter, and what it may be given: whole numbers within bounds, or one of some words, or a text
FILTERS: dict[str, tuple[range | frozenset[str] | type[str], bool]] = {
    "default": (str, True),
    "upper": (range(0), False),
    "lower": (range(0), False),
    "title": (range(0), False),
    "capitalize": (range(0), False),
    "trim": (range(0), False),
    "escape": (range(0), False),
    "truncate": (range(1, 501), True),
    "date": (frozenset({"short", "medium", "long", "full"}), False),
    "number": (range(7), False),
}  # fmt: skip

_ALIASES = {"unsubscribe": "unsubscribe_url", "preferences": "preferences_url", "browser": "browser_url"}
_SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
_BLOCKS = ("if", "elif", "else", "endif")

_BROKEN = re.compile("[\0\ud800-\udfff]")
_syntax = Environment(autoescape=True, keep_trailing_newline=True)


@dataclass(frozen=True)
class Piece:
    """One part of a text: words as they are, or one checked tag in our own spelling."""

    kind: str  # text, field, if, elif, else, endif
    code: str  # the text, or what stands between the braces
    line: int = 0
    name: str = ""  # of a field: its name alone
    filtered: bool = False

    @property
    def shown(self) -> str:
        """The tag as its author knows it."""
        return f"{{{{ {self.name} }}}}" if self.kind == "field" else f"{{% {self.kind} %}}"

    def __str__(self) -> str:
        if self.kind == "text":
            return self.code.replace("{", "{{ '{' }}")  # so that no text can ever become a tag
        return f"{{{{ {self.code} }}}}" if self.kind == "field" else f"{{% {f'{self.kind} {self.code}'.strip()} %}}"


def read(source: str, known: Collection[str], where: str) -> list[Piece]:
    """The pieces of an author's text. Invalid with `where`, the line and what to write, when it holds anything else."""
    if len(source.encode("utf-8", "replace")) > MAX_SOURCE:
        raise Invalid(f"The {where} is too long: keep it under {MAX_SOURCE // 1000} kB.", {where: "Too long."})
    if broken := _BROKEN.search(source):
        line = source.count("\n", 0, broken.start()) + 1
        wrong(where, line, "Here stands a sign that no mail can hold: half a character, or a NUL.")
    _check_tags(source, where)
    pieces = [
        _tag(kind, text, line, known, where) if kind else Piece("text", text, line)
        for kind, text, line in _split(source, where)
    ]
    _check_nesting(pieces, where)
    _check_footer(pieces, where)
    return pieces


def joined(pieces: Iterable[Piece]) -> str:
    """The pieces as a Jinja template."""
    return "".join(map(str, pieces))


def wrong(where: str, line: int, what: str) -> NoReturn:
    message = f"{where.replace('_', ' ').capitalize()}, line {line}: {what}"
    raise Invalid(message, {where: message})


def _split(source: str, where: str) -> Iterable[tuple[str, str, int]]:
    """(kind of tag or empty, text, line). A comment of the template is left out."""
    kind, begun = "", 1
    inner: list[str] = []
    try:
        for line, token, value in _syntax.lex(source):
            if token in ("variable_begin", "block_begin"):
                kind, inner, begun = token.partition("_")[0], [], line
            elif token in ("variable_end", "block_end"):
                yield kind, "".join(inner).strip(), begun
                kind = ""
            elif token.startswith(("raw", "linestatement", "linecomment")):
                wrong(where, line, "`raw` is not possible here; write braces one at a time.")
            elif token.startswith("comment"):
                yield "", "\n" * value.count("\n"), line  # so that lines keep their numbers
            elif kind:
                inner.append(value)
            else:
                yield "", value, line
    except TemplateSyntaxError as fault:
        wrong(where, fault.lineno, f"{_clean(fault.message)}. A merge field looks like {{{{ first_name }}}}.")
    if kind:
        wrong(where, begun, "This tag is never closed: write }} or %} at its end.")


def _tag(kind: str, text: str, line: int, known: Collection[str], where: str) -> Piece:
    if len(text) > MAX_TAG:
        wrong(where, line, f"What stands between the braces is too long: {MAX_TAG} characters at most.")
    checker = _Checker(known, where, line)
    if kind == "variable":
        expression = checker.parsed(f"{{{{ {text} }}}}", nodes.Output).nodes[0]
        return Piece("field", *checker.field(expression))
    word, _, rest = text.partition(" ")
    word = re.split(r"\W", text, maxsplit=1)[0]
    rest = text[len(word) :].strip()
    if word not in _BLOCKS:
        shown = f"`{_clean(word)}`" if word else "this"
        wrong(where, line, f"{shown} is not possible here; only `if`, `elif`, `else` and `endif` are.")
    if word in ("else", "endif"):
        if rest:
            wrong(where, line, f"Nothing follows `{word}`.")
        return Piece(word, "", line)
    condition = checker.parsed(f"{{% if {rest} %}}{{% endif %}}", nodes.If)
    return Piece(word, checker.condition(condition.test), line)


def _check_tags(source: str, where: str) -> None:
    """Cheap bounds before the lexer and the parser see anything: both are slow on tags nobody would write."""
    begun = [found.start() for found in re.finditer(r"\{[{%]", source)]
    if len(begun) > MAX_FIELDS:
        raise Invalid(f"The {where} holds more than {MAX_FIELDS} merge fields and conditions.", {where: "Too many."})
    for position in begun:
        if source.find("}", position, position + 2 * MAX_TAG) < 0:
            line = source.count("\n", 0, position) + 1
            wrong(where, line, "This tag is never closed, or is too long: write }} or %} at its end.")


def _check_nesting(pieces: list[Piece], where: str) -> None:
    open_ifs: list[tuple[int, bool]] = []  # line, and whether its `else` has been
    for piece in pieces:
        if piece.kind == "if":
            open_ifs.append((piece.line, False))
            if len(open_ifs) > MAX_DEPTH:
                wrong(where, piece.line, f"Conditions go {MAX_DEPTH} levels deep at most.")
        elif piece.kind in ("elif", "else", "endif"):
            if not open_ifs:
                wrong(where, piece.line, f"`{piece.kind}` without an `if` before it.")
            begun, had_else = open_ifs.pop()
            if piece.kind != "endif":
                if had_else:
                    wrong(where, piece.line, f"`{piece.kind}` after `else`.")
                open_ifs.append((begun, piece.kind == "else"))
    if open_ifs:
        wrong(where, open_ifs[-1][0], "This `if` is never closed: write {% endif %}.")


def _check_footer(pieces: list[Piece], where: str) -> None:
    depth = seen = 0
    for piece in pieces:
        depth += (piece.kind == "if") - (piece.kind == "endif")
        if piece.name == "footer":
            seen += 1
            if depth or seen > 1 or piece.filtered:
                wrong(
                    where,
                    piece.line,
                    "`footer` stands once, without filters, and not inside an `if`: everybody gets it.",
                )


class _Checker:
    """Walks one small syntax tree, writes it again in our own spelling, and refuses every node it does not know."""

    def __init__(self, known: Collection[str], where: str, line: int) -> None:
        self.known, self.where, self.line = known, where, line

    def parsed(self, source: str, kind: type[Any]) -> Any:
        try:
            body = _syntax.parse(source).body
        except TemplateSyntaxError as fault:
            self.wrong(f"{_clean(fault.message or '')}.")
        except RecursionError:
            self.wrong("This is nested too deep.")
        if len(body) != 1 or not isinstance(body[0], kind) or (kind is nodes.Output and len(body[0].nodes) != 1):
            self.wrong("This is no merge field; write it like {{ first_name }}.")
        return body[0]

    def field(self, node: nodes.Node) -> tuple[str, int, str, bool]:
        """Code, line, name, whether filters are applied."""
        filters: list[str] = []
        while isinstance(node, nodes.Filter):
            filters.insert(0, self._filter(node))
            if node.node is None:
                self.wrong("A filter stands behind a field.")
            node = node.node
        if len(filters) > MAX_FILTERS:
            self.wrong(f"{MAX_FILTERS} filters at most.")
        name = self.name(node)
        return "|".join([name, *filters]), self.line, name, bool(filters)

    def name(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "contact":
            name = node.attr
        elif isinstance(node, nodes.Name):
            name = node.name
        else:
            self.wrong(f"{_named(node)} cannot be used here; only fields, such as {{{{ first_name }}}}.")
        name = _ALIASES.get(name, name)
        if name not in self.known:
            near = difflib.get_close_matches(name[:60], self.known, 1, 0.5)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known are: {', '.join(sorted(self.known))}."
            self.wrong(f"There is no field `{_clean(name)}`. {hint}")
        return name

    def condition(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.And | nodes.Or):
            word = "and" if isinstance(node, nodes.And) else "or"
            return f"({self.condition(node.left)} {word} {self.condition(node.right)})"
        if isinstance(node, nodes.Not):
            return f"(not {self.condition(node.node)})"
        if isinstance(node, nodes.Compare):
            return self._comparison(node)
        return f"{self.name(node)}|has_value"

    def _comparison(self, node: nodes.Compare) -> str:
        if len(node.ops) != 1 or node.ops[0].op not in _SIGNS or not isinstance(node.ops[0].expr, nodes.Const):
            self.wrong('A field is compared with one text or number, such as {% if city == "Rome" %}.')
        name, sign, value = self.name(node.expr), _SIGNS[node.ops[0].op], node.ops[0].expr.value
        if isinstance(value, bool):
            return f"{name}|has_value {'==' if value == (sign == '==') else '!='} true"
        if isinstance(value, int | float) and abs(value) < 1e15:
            return f"{name}|as_number {sign} {value!r}"
        if not isinstance(value, str) or len(value) > MAX_CONSTANT:
            self.wrong("That is too long or too large to compare with.")
        return f"{name}|as_text {sign} {_quoted(value.casefold())}"

    def _filter(self, node: nodes.Filter) -> str:
        if node.name not in FILTERS:
            self.wrong(f"There is no filter `{_clean(node.name)}`. Known are: {', '.join(FILTERS)}.")
        allowed, needed = FILTERS[node.name]
        given = [argument.value for argument in node.args if isinstance(argument, nodes.Const)]
        if node.kwargs or node.dyn_args or node.dyn_kwargs or len(given) != len(node.args) or len(given) > 1:
            self.wrong(f"The filter `{node.name}` takes at most one plain value.")
        if not given:
            if needed:
                self.wrong(f"The filter `{node.name}` needs a value, such as {_EXAMPLES[node.name]}.")
            return node.name
        value = given[0]
        if allowed is str:
            right = isinstance(value, str) and len(value) <= MAX_CONSTANT
        else:
            right = not isinstance(value, bool) and isinstance(value, int | str) and value in allowed  # type: ignore[operator]
        if not right:
            self.wrong(
                f"The filter `{node.name}` does not take this value; write {_EXAMPLES.get(node.name, node.name)}."
            )
        return f"{node.name}({_quoted(value) if isinstance(value, str) else value})"

    def wrong(self, what: str) -> NoReturn:
        wrong(self.where, self.line, what)


_EXAMPLES = {"default": 'default("friend")', "truncate": "truncate(40)", "date": 'date("long")', "number": "number(2)"}
_NAMES = {
    nodes.Call: "A call",
    nodes.Getitem: "A subscript",
    nodes.Getattr: "An attribute",
    nodes.BinExpr: "Arithmetic",
    nodes.UnaryExpr: "Arithmetic",
    nodes.Concat: "Joining texts",
    nodes.CondExpr: "An inline `if`",
    nodes.Test: "A test with `is`",
    nodes.Literal: "A constant",
}


def _named(node: nodes.Node) -> str:
    return next((name for kind, name in _NAMES.items() if isinstance(node, kind)), "This")


def _quoted(value: str) -> str:
    """A text constant that cannot end its tag: everything but letters, digits and spaces is written as an escape."""
    escaped = (char if char.isalnum() or char == " " else f"\\U{ord(char):08x}" for char in value)
    return f'"{"".join(escaped)}"'


def _clean(text: str | None) -> str:
    return "".join(char for char in (text or "") if char.isprintable())[:80].rstrip(".")
