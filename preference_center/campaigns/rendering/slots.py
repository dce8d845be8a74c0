"""The form in which a version is sent: fixed text as bytes, encoded once, and slots for what differs between contacts.

It is made from the same checked syntax tree that the sandbox runs, by the same filters, and writes the same bytes; only no
template engine runs for each contact. Conditions are decided first, and each set of decisions has its own finished row of pieces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from jinja2 import nodes
from markupsafe import escape

from preference_center.campaigns.rendering import sandbox

Values = Mapping[str, str]
Expression = Callable[[Values], Any]

_COMPARISONS = {"eq": eq, "ne": ne, "lt": lt, "lteq": le, "gt": gt, "gteq": ge}
_SHORT = 200
_KEPT_VALUES = 10_000  # at most some megabytes
_KEPT = 256  # rows of pieces; conditions of one text have rarely more than a handful of outcomes


@dataclass(frozen=True, slots=True)
class _Choice:
    """An `if` with its branches; the last one, without a test, is its `else`."""

    branches: tuple[tuple[Expression | None, "_Body"], ...]


_Body = list[bytes | int | _Choice]  # fixed bytes, the number of a slot, or a choice


@dataclass(slots=True)
class _Row:
    """The text for one set of decisions: `%b` stands where a slot is filled in."""

    form: bytes = b""
    slots: list[int] = field(default_factory=list)  # each that occurs, once
    order: list[int] = field(default_factory=list)  # which of them stands in each place


class Slots:
    """One text, ready to be filled for anybody. `encoded`: as quoted-printable, else as it reads (UTF-8)."""

    def __init__(self, source: str, *, autoescape: bool, encoded: bool = True) -> None:
        self._autoescape, self._encoded = autoescape, encoded
        self.names: set[str] = set()  # every field that the text speaks of
        self._expressions: list[Expression] = []
        self._simple: list[str | None] = []  # the names of fields that stand as they are
        self._known: dict[str, bytes] = {}
        self._numbers: dict[str, int] = {}
        self._rows: dict[tuple[int, ...], _Row] = {}
        self._filters = sandbox.filters(autoescape)
        self._body = self._compiled(sandbox.checked(source, autoescape=autoescape).body)
        self._plain = None if any(isinstance(part, _Choice) for part in self._body) else self._row(self._body, ())

    def fill(self, values: Values) -> bytes:
        """The text for one contact."""
        row = self._plain or self._chosen(values)
        simple, known = self._simple, self._known
        fillings = []
        for number in row.slots:
            name = simple[number]
            value = values.get(name, "") if name is not None else self._expressions[number](values)
            written = known.get(value) if type(value) is str else self._written(value)
            fillings.append(self._learn(value) if written is None else written)
        made = row.form % tuple([fillings[place] for place in row.order])
        return sandbox.cut(made) if self._encoded else made

    def _learn(self, value: str) -> bytes:
        """The same first names and cities come again and again; links never do."""
        written = self._written(value)
        if len(value) <= _SHORT and not value.startswith("http"):
            if len(self._known) >= _KEPT_VALUES:
                self._known.clear()
            self._known[value] = written
        return written

    def _written(self, value: Any) -> bytes:
        text = str(escape(value)) if self._autoescape else str(value)
        return sandbox.encoded(text) if self._encoded else text.encode("utf-8", "replace")

    # Decisions.

    def _chosen(self, values: Values) -> _Row:
        decisions: list[int] = []
        _decide(self._body, values, decisions)
        key = tuple(decisions)
        row = self._rows.get(key)
        if row is None:
            row = self._row(self._body, key)
            if len(self._rows) < _KEPT:
                self._rows[key] = row
        return row

    def _row(self, body: _Body, decisions: Sequence[int]) -> _Row:
        row, form = _Row(), bytearray()
        for part in _flat(body, iter(decisions)):
            if isinstance(part, bytes):
                form += part.replace(b"%", b"%%")
                continue
            form += b"%b"
            if part not in row.slots:
                row.slots.append(part)
            row.order.append(row.slots.index(part))
        row.form = bytes(form)
        return row

    # Compiling.

    def _compiled(self, body: Sequence[nodes.Node]) -> _Body:
        made: _Body = []
        for node in body:
            if isinstance(node, nodes.Output):
                made += [self._piece(part) for part in node.nodes]
            elif isinstance(node, nodes.If):
                tests = [(node.test, node.body), *((other.test, other.body) for other in node.elif_)]
                branches = [(self._expression(test), self._compiled(inner)) for test, inner in tests]
                made.append(_Choice((*branches, (None, self._compiled(node.else_)))))
            else:
                raise ValueError(f"a compiled template holds {type(node).__name__}")
        return made

    def _piece(self, node: nodes.Node) -> bytes | int:
        if isinstance(node, nodes.TemplateData):
            return sandbox.encoded(node.data) if self._encoded else node.data.encode("utf-8", "replace")
        if isinstance(node, nodes.Const):
            return self._written(node.value)
        number = self._numbers.setdefault(repr(node), len(self._expressions))
        if number == len(self._expressions):
            self._expressions.append(self._expression(node))
            self._simple.append(node.name if isinstance(node, nodes.Name) else None)
        return number

    def _expression(self, node: nodes.Node) -> Expression:
        match node:
            case nodes.Const():
                constant = node.value
                return lambda _: constant
            case nodes.Name():
                name = node.name
                self.names.add(name)
                return lambda values: values.get(name, "")
            case nodes.Filter() if node.node is not None:
                return self._filtered(node, self._expression(node.node))
            case nodes.Not():
                inner = self._expression(node.node)
                return lambda values: not inner(values)
            case nodes.And() | nodes.Or():
                left, right = self._expression(node.left), self._expression(node.right)
                if isinstance(node, nodes.And):
                    return lambda values: left(values) and right(values)
                return lambda values: left(values) or right(values)
            case nodes.Compare() if len(node.ops) == 1:
                compare = _COMPARISONS[node.ops[0].op]
                one, other = self._expression(node.expr), self._expression(node.ops[0].expr)
                return lambda values: compare(one(values), other(values))
        raise ValueError(f"a compiled template holds {type(node).__name__}")

    def _filtered(self, node: nodes.Filter, inner: Expression) -> Expression:
        function = self._filters[node.name]
        given = [argument.value for argument in node.args if isinstance(argument, nodes.Const)]
        if len(given) != len(node.args) or node.kwargs:
            raise ValueError("a filter in a compiled template takes constants only")
        if hasattr(function, "jinja_pass_arg"):  # it reads the language from the values, as from Jinja's context
            self.names.add("language")
            return lambda values: function(values, inner(values), *given)
        return lambda values: function(inner(values), *given)


def _decide(body: _Body, values: Values, decisions: list[int]) -> None:
    for part in body:
        if isinstance(part, _Choice):
            for number, (test, inner) in enumerate(part.branches):
                if test is None or test(values):
                    decisions.append(number)
                    _decide(inner, values, decisions)
                    break


def _flat(body: _Body, decisions: Any) -> Any:
    """Fixed bytes and slots alone, the choices taken as decided; in the order in which they were decided."""
    for part in body:
        if isinstance(part, _Choice):
            yield from _flat(part.branches[next(decisions)][1], decisions)
        else:
            yield part
