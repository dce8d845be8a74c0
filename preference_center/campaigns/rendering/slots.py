"""The form in which a version is sent: fixed text as bytes, encoded once, and slots for what differs between contacts.

It is made from the same checked syntax tree that the sandbox runs, by the same filters, and writes the same bytes; only no
template engine runs for each contact. The texts of a mail share their slots, what a value comes to is worked out once, and each
set of decisions has its own finished row of pieces.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import eq, ge, gt, itemgetter, le, lt, ne
from typing import Any, NamedTuple, TypeVar

from jinja2 import nodes
from markupsafe import escape

from preference_center.campaigns.rendering import sandbox, values

Fields = Mapping[str, Any]  # of one contact, by name, as they are kept
Test = Callable[[Fields], Any]
Expression = Callable[[str], Any]  # of what the one field says that it speaks of
Made = TypeVar("Made")

_COMPARISONS = {"eq": eq, "ne": ne, "lt": lt, "lteq": le, "gt": gt, "gteq": ge}
_MEANT = re.compile("[&<>\"']")  # what means something in HTML
_SHORT = 200
_KEPT_VALUES = 1_000  # of each slot: at most some megabytes a mail
_KEPT = 256  # rows of pieces; conditions of one text have rarely more than a handful of outcomes


class Source(NamedTuple):
    """A checked template, and whether it is HTML."""

    template: str
    autoescape: bool


class _Known(dict[str, Made]):
    """What each value of a field comes to. The same first names and cities come again and again."""

    def __init__(self, work: Callable[[str], Made], *, clean: bool) -> None:
        self._work, self._is_clean = work, clean

    def __missing__(self, value: str) -> Made:
        made = self._work(value if self._is_clean else values.cleaned(value))
        if len(value) <= _SHORT:
            if len(self) >= _KEPT_VALUES:
                self.clear()
            self[value] = made
        return made


@dataclass(frozen=True, slots=True)
class _Choice:
    """An `if` with its branches: the test, what stands there, the choices therein. The last, without a test, is its `else`."""

    branches: tuple[tuple[Test | None, "_Body", "list[_Choice]"], ...]


_Body = list[bytes | int | _Choice]  # fixed bytes, the number of a slot, or a choice
_Written = tuple[bytes, ...]  # by each text
_Slot = tuple[str, Callable[[str], _Written]]  # its field, and how its values are written


@dataclass(slots=True)
class _Row:
    """The texts for one set of decisions: each a form with `%b` for a slot, and what picks those from all that are written."""

    slots: list[_Slot] = field(default_factory=list)
    forms: list[tuple[bytes, Callable[[Sequence[bytes]], Any]]] = field(default_factory=list)


class Slots:
    """The texts of one mail, ready to be filled for anybody. `fixed`: the fields that are the same in all such mails.

    `encoded`: as quoted-printable, else as it reads (UTF-8).
    """

    def __init__(self, *sources: Source, fixed: Mapping[str, str], encoded: bool = True) -> None:
        self._sources, self._fixed, self._encoded = sources, fixed, encoded
        self._end = sandbox.SOFT_BREAK if encoded else b""
        self.names: set[str] = set()  # every field that the texts speak of, beside the fixed ones
        self._numbers: dict[str, int] = {}
        self._slots: list[_Slot] = []
        self._rows: dict[tuple[int, ...], _Row] = {}
        self._filters = [sandbox.filters(source.autoescape) for source in sources]
        trees = [sandbox.checked(source.template, autoescape=source.autoescape) for source in sources]
        self._bodies = [self._compiled(tree.body, number) for number, tree in enumerate(trees)]
        self._choices = [choice for body in self._bodies for choice in _choices(body)]
        self._plain = None if self._choices else self._row(())

    def fill(self, fields: Fields) -> list[bytes]:
        """The texts for one contact."""
        row = self._plain or self._chosen(fields)
        get, text = fields.get, values.text
        written = [write(value if type(value := get(name)) is str else text(value)) for name, write in row.slots]
        end, values_of_all = self._end, list(chain.from_iterable(written))
        return [(form % pick(values_of_all)).removesuffix(end) for form, pick in row.forms]

    # Decisions.

    def _chosen(self, fields: Fields) -> _Row:
        decisions: list[int] = []
        _decide(self._choices, fields, decisions)
        key = tuple(decisions)
        row = self._rows.get(key)
        if row is None:
            row = self._row(key)
            if len(self._rows) < _KEPT:
                self._rows[key] = row
        return row

    def _row(self, decisions: Sequence[int]) -> _Row:
        row, decided = _Row(), iter(decisions)
        places: dict[int, int] = {}  # the slots that occur, each once
        for text, body in enumerate(self._bodies):
            form, order = bytearray(), []
            for part in _flat(body, decided):
                if isinstance(part, bytes):
                    form += part.replace(b"%", b"%%")
                else:
                    form += b"%b"
                    order.append(places.setdefault(part, len(places)) * len(self._bodies) + text)
            row.forms.append((bytes(form), itemgetter(*order) if order else _nothing))
        row.slots = [self._slots[number] for number in places]
        return row

    # Compiling.

    def _compiled(self, body: Sequence[nodes.Node], text: int) -> _Body:
        made: _Body = []
        for node in body:
            if isinstance(node, nodes.Output):
                made += [self._piece(part, text) for part in node.nodes]
            elif isinstance(node, nodes.If):
                tests = [(node.test, node.body), *((other.test, other.body) for other in node.elif_)]
                branches = [(self._test(test, text), self._compiled(inner, text)) for test, inner in tests]
                ended = [*branches, (None, self._compiled(node.else_, text))]
                made.append(_Choice(tuple((test, inner, _choices(inner)) for test, inner in ended)))
            else:
                raise ValueError(f"a compiled template holds {type(node).__name__}")
        return made

    def _piece(self, node: nodes.Node, text: int) -> bytes | int:
        if isinstance(node, nodes.TemplateData):
            return self._bytes(node.data)
        if _names(node) <= self._fixed.keys():
            return self._bytes(self._read(self._expression(node, text)(""), text))
        number = self._numbers.setdefault(repr(node), len(self._slots))
        if number == len(self._slots):
            self._slots.append(self._about_one_field(node, self._writing(node)))
        return number

    def _writing(self, node: nodes.Node) -> Callable[[str], _Written]:
        """How each text writes what is said."""
        count = len(self._sources)
        ways = [self._expression(node, each) for each in range(count)]

        def written(said: str) -> _Written:
            return self._in_each(ways, said)

        def link(said: str) -> _Written:
            flat = None if "&" in said else sandbox.encoded_flat(said)
            return written(said) if flat is None else (flat,) * count

        return link if self._encoded and isinstance(node, nodes.Name) else written

    def _in_each(self, ways: list[Expression], said: str) -> _Written:
        """As each text writes it. Most of what is said reads the same in HTML, and is encoded once."""
        found: list[bytes] = []
        before, written = None, b""
        for text, way in enumerate(ways):
            reads = self._read(way(said), text)
            if reads != before:
                before, written = reads, self._bytes(reads)
            found.append(written)
        return tuple(found)

    def _read(self, value: Any, text: int) -> str:
        if self._sources[text].autoescape and (type(value) is not str or _MEANT.search(value)):
            return str(escape(value))
        return str(value)

    def _bytes(self, text: str) -> bytes:
        return sandbox.encoded(text) if self._encoded else text.encode("utf-8", "replace")

    def _test(self, node: nodes.Node, text: int) -> Test:
        match node:
            case nodes.Not():
                inner = self._test(node.node, text)
                return lambda fields: not inner(fields)
            case nodes.And():
                left, right = self._test(node.left, text), self._test(node.right, text)
                return lambda fields: left(fields) and right(fields)
            case nodes.Or():
                left, right = self._test(node.left, text), self._test(node.right, text)
                return lambda fields: left(fields) or right(fields)
        answer = self._expression(node, text)
        if _names(node) <= self._fixed.keys():
            always = answer("")
            return lambda fields: always
        name, known = self._about_one_field(node, answer)
        return lambda fields: known(values.text(fields.get(name)))

    def _about_one_field(self, node: nodes.Node, work: Callable[[str], Made]) -> tuple[str, Callable[[str], Made]]:
        """The one field that an expression speaks of, beside the fixed ones, and what its values come to. Links never come again."""
        names = _names(node) - self._fixed.keys()
        if len(names) != 1:
            raise ValueError("an expression in a compiled template speaks of one field")
        (name,) = names
        self.names.add(name)
        if name in values.UNLIKE_ANY_OTHER:
            return name, work
        return name, _Known(work, clean=name in values.OURS).__getitem__

    def _expression(self, node: nodes.Node, text: int) -> Expression:
        match node:
            case nodes.Name() if node.name not in self._fixed:
                return str
            case nodes.Const() | nodes.Name():
                constant = node.value if isinstance(node, nodes.Const) else self._fixed[node.name]
                return lambda _: constant
            case nodes.Filter() if node.node is not None:
                return self._filtered(node, self._expression(node.node, text), text)
            case nodes.Compare() if len(node.ops) == 1:
                compare = _COMPARISONS[node.ops[0].op]
                one, other = self._expression(node.expr, text), self._expression(node.ops[0].expr, text)
                return lambda said: compare(one(said), other(said))
        raise ValueError(f"a compiled template holds {type(node).__name__}")

    def _filtered(self, node: nodes.Filter, inner: Expression, text: int) -> Expression:
        function = self._filters[text][node.name]
        given = [argument.value for argument in node.args if isinstance(argument, nodes.Const)]
        if len(given) != len(node.args) or node.kwargs:
            raise ValueError("a filter in a compiled template takes constants only")
        if hasattr(function, "jinja_pass_arg"):  # it reads the language, as from Jinja's context
            return lambda said: function(self._fixed, inner(said), *given)
        return lambda said: function(inner(said), *given)


def _names(node: nodes.Node) -> set[str]:
    return {name.name for name in (node, *node.find_all(nodes.Name)) if isinstance(name, nodes.Name)}


def _choices(body: _Body) -> list[_Choice]:
    return [part for part in body if isinstance(part, _Choice)]


def _decide(choices: list[_Choice], fields: Fields, decisions: list[int]) -> None:
    for choice in choices:
        for number, (test, _, inner) in enumerate(choice.branches):
            if test is None or test(fields):
                decisions.append(number)
                if inner:
                    _decide(inner, fields, decisions)
                break


def _flat(body: _Body, decisions: Iterator[int]) -> Iterator[bytes | int]:
    """Fixed bytes and slots alone, the choices taken as decided; in the order in which they were decided."""
    for part in body:
        if isinstance(part, _Choice):
            yield from _flat(part.branches[next(decisions)][1], decisions)
        else:
            yield part


def _nothing(_: object) -> tuple[()]:
    return ()
