"""What all commands need: the app opened for an operator, times and tables in and out, and progress that fits where it is shown."""

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from preference_center import clock

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.config import Settings

ACTOR = "cli"  # how the audit trail and consent records name an operator at the command line

as_json = click.option("--json", "as_json", is_flag=True, help="Print data for programs.")


@contextmanager
def app(settings: "Settings | None" = None) -> Iterator["Flask"]:
    """The app with its context open, and no log line between a command's own words."""
    settings = settings or _settings()  # before the slow imports: wrong settings are told at once

    from preference_center.app import create_app

    quiet()
    made = create_app(settings)
    with made.app_context():
        yield made


def _settings() -> "Settings":
    from preference_center import config

    try:
        return config.read()
    except config.BadSettings:
        from preference_center.webhooks import hooks

        return hooks.read_settings()  # names the faults of the hooks with all others


def quiet() -> None:
    """Only errors are logged, and to standard error: standard output belongs to the command."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, default=_plain, indent=None if isinstance(data, dict) else 1))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> None:
    """Columns as wide as their contents, so that the lines can be cut and searched; words when there is nothing."""
    texts = [[str("" if cell is None else cell) for cell in row] for row in rows]
    if not texts:
        click.echo(nothing)
        return
    widths = [max(len(line[i]) for line in [list(columns), *texts]) for i in range(len(columns))]
    for line in [[column.upper() for column in columns], *texts]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not text in UTF-8.") from None


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A time as people write it; without a zone it is the time of this machine."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        if value == "now":
            return clock.now()
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):  # the second where a zone moves it out of the calendar
            self.fail(f"{value!r} is no time. Write it as 2026-11-30T09:00 or 2026-11-30T09:00+01:00.", param, ctx)


class NewFile(click.Path):
    """The name of a file to write, which is there already or not."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("Name a file.", param, ctx)
        return super().convert(value, param, ctx)


class Progress:
    """A bar on a terminal; elsewhere a plain line now and then, on standard error so that data stays apart."""

    def __init__(self, words: str, total: int | None = None, unit: str = "", *, shown: bool = True) -> None:
        self.words, self.total, self.unit, self.shown = words, total, unit, shown
        self._bar: Any = None
        self._task: Any = None
        self._told = time.monotonic()

    def __enter__(self) -> "Progress":
        if self.shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(self.unit),
                TimeElapsedColumn(), console=Console(stderr=True),
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task(self.words, total=self.total)
        elif self.shown:
            click.echo(f"{self.words} …", err=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, done: int, total: int | None = None) -> None:
        self.total = total if total is not None else self.total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self.total)
        elif self.shown and time.monotonic() - self._told > 2:
            self._told = time.monotonic()
            of = f" of {self.total}" if self.total else ""
            click.echo(f"{self.words}: {done}{of} {self.unit}".rstrip(), err=True)


def local(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M %Z}" if moment else ""


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
