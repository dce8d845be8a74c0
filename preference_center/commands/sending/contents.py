"""The options that name the content of a mail, for all commands that take one: campaigns and templates."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from preference_center.commands import desk

KINDS = {"mjml": "MJML", "html": "HTML", "markdown": "Markdown", "blocks": "blocks (JSON)"}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ONCE = "Name the content once: --mjml FILE, --html FILE, --markdown FILE or --blocks FILE."


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--preheader`, one file of content, and perhaps one for the text part."""
    for option in reversed(
        (
            click.option("--preheader", default=None, help="What inboxes show after the subject."),
            *(click.option(f"--{kind}", type=_FILE, help=f"The content as {name}.") for kind, name in KINDS.items()),
            click.option("--text", type=_FILE, help="The text part; default: made from the content."),
        )
    ):
        command = option(command)
    return command


def read(given: dict[str, Any], *, needed: bool) -> dict[str, Any]:
    """Takes these options out of what was given; the fields of a version they say."""
    files = {kind: file for kind in KINDS if (file := given.pop(kind))}
    if len(files) > 1 or (needed and not files):
        raise click.UsageError(_ONCE)
    found: dict[str, Any] = {}
    for kind, file in files.items():
        found |= {"format": kind, "source": desk.read(file)}
    if (text := given.pop("text")) is not None:
        found["text_source"] = desk.read(text)
    if (preheader := given.pop("preheader")) is not None:
        found["preheader"] = preheader
    return found


def experiment(file: TextIO) -> dict[str, Any]:
    """Other contents to try first, as they stand in a file."""
    try:
        found = json.load(file)
    except ValueError as fault:
        raise click.ClickException(f"{file.name} is no JSON: {fault}.") from None
    if not isinstance(found, dict):
        raise click.ClickException(f"{file.name} holds no JSON object.")
    return found
