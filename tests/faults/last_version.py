"""What the last version relies on: the jobs it may have rung, the columns it reads and writes. Written at each release:

`python -m tests.faults.last_version`, which puts it into last_version.json beside this file.
"""

import inspect
import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

FILE = Path(__file__).with_suffix(".json")


def jobs_now() -> dict[str, list[str]]:
    """By dotted name the kinds of the arguments that it must have."""
    from preference_center import jobs

    paths = sorted(job.path for job in vars(jobs).values() if isinstance(job, jobs.Job))
    return {path: [one.annotation.__name__ for one in _arguments(path) if one.default is one.empty] for path in paths}


def _arguments(path: str) -> Iterable[inspect.Parameter]:
    module, _, name = path.rpartition(".")
    return inspect.signature(inspect.unwrap(getattr(import_module(module), name))).parameters.values()


def schema_of(metadata: MetaData) -> dict[str, Any]:
    """By table: each column with its kind, whether it may be empty, and whether the database fills it in; what must be unique."""
    dialect = postgresql.dialect()
    return {
        table.name: {
            "columns": {
                column.name: {
                    "type": column.type.compile(dialect),
                    "nullable": bool(column.nullable),
                    "filled": column.server_default is not None or column.autoincrement is True or column.primary_key,
                }
                for column in table.columns
            },
            "unique": sorted(_unique(table)),
        }
        for table in sorted(metadata.tables.values(), key=lambda table: table.name)
    }


def _unique(table: Table) -> Iterator[list[str]]:
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    for one in [*unique, *(index for index in table.indexes if index.unique)]:
        yield sorted(column.name for column in one.columns)


def breaks(last: dict[str, Any], now: dict[str, Any]) -> Iterable[str]:
    """What the last version would stumble over on the tables of this one."""
    for name, table in last.items():
        if name not in now:
            yield f"{name} is gone"
            continue
        columns = now[name]["columns"]
        for column, was in table["columns"].items():
            if column not in columns:
                yield f"{name}.{column} is gone"
            elif columns[column]["type"] != was["type"]:
                yield f"{name}.{column} was {was['type']} and is {columns[column]['type']}"
            elif was["nullable"] and not columns[column]["nullable"]:
                yield f"{name}.{column} may not be empty any more"
        for column in columns.keys() - table["columns"].keys():
            if not columns[column]["nullable"] and not columns[column]["filled"]:
                yield f"{name}.{column} is new, may not be empty, and nobody fills it in"
        yield from (
            f"{name}: {', '.join(one)} must be unique now" for one in now[name]["unique"] if one not in table["unique"]
        )


if __name__ == "__main__":
    from preference_center import app  # noqa: F401 - so that every table is known
    from preference_center.db import Base

    tables = ",\n".join(f"{json.dumps(name)}: {json.dumps(told)}" for name, told in schema_of(Base.metadata).items())
    FILE.write_text(f'{{"jobs": {json.dumps(jobs_now())},\n"tables": {{\n{tables}\n}}}}\n', encoding="ascii")
