"""Almost every test makes an app. What the libraries make anew for each, and make the same each time, is made once a process."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule


def keep_what_apps_share() -> None:
    """What builds the URL of a rule (nine tenths of making an app), the code of our templates, the text of statements."""
    Rule._compile_builder = _compile_once  # type: ignore[method-assign]
    Flask.jinja_options = {"bytecode_cache": _Templates()}
    DefaultDialect.__eq__ = _are_alike  # type: ignore[assignment, method-assign]
    DefaultDialect.__hash__ = lambda dialect: hash(type(dialect))  # type: ignore[assignment, method-assign]
    event.listen(Engine, "engine_connect", _share_statements)


_compile = Rule._compile_builder
_compiled: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}


def _compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """It takes the rule as its argument, so it serves the same rule of every app; defaults are compiled in."""
    if rule.defaults:
        return _compile(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _compiled:
        _compiled[key] = _compile(rule, append_unknown)
    return _compiled[key]


class _Templates(BytecodeCache):
    """Jinja asks with the template's name and a checksum of its source."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.made.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.made[bucket.key, bucket.checksum] = bucket.code


def _are_alike(one: DefaultDialect, other: object) -> bool:
    """Both write the same statements: they are for the same kind and version of database."""
    return type(one) is type(other) and _known(one) == _known(other)


def _known(dialect: Any) -> tuple[object, ...]:
    return (
        dialect.server_version_info,
        dialect.default_schema_name,
        dialect.paramstyle,
        dialect.insertmanyvalues_page_size,
    )


_statements: LRUCache[Any, Any] = LRUCache(2000)


def _share_statements(connection: Connection) -> None:
    """The dialect stands in the key of each statement."""
    connection.engine._compiled_cache = _statements
