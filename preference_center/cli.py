"""`preference-center`: the door for operators. Commands live in `commands/` and are loaded when they are called.

Exit status: 0 done, 1 refused with one clear line on standard error, 2 wrong usage. No traceback reaches a user.
"""

import importlib
import os
import sys
import textwrap
from typing import Any

import click

# command: (module and name in commands/, one line for the list)
_COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("installing.demo:demo", "Try it: everything embedded, sample people, a first campaign, an inbox."),
    "up": ("installing.processes:up", "Run everything on this machine, for real use."),
    "web": ("installing.processes:web", "Run the web server alone."),
    "worker": ("installing.processes:worker", "Run one worker alone."),
    "clock": ("installing.processes:clock", "Run the clock alone."),
    "doctor": ("installing.doctor:doctor", "Check settings, database, queue, relay and DNS; name each remedy."),
    "db": ("installing.database:db", "The database: upgrade."),
    "users": ("installing.users:users", "The people who work here: create, reset-second-factor."),
    "topics": ("people.topics:topics", "What people can follow: add, edit, order, retire, list."),
    "forms": ("people.forms:forms", "Sign-up forms, here and on other sites: add, list, snippet, close."),
    "contacts": ("people.contacts:contacts", "The people we write to: import, list, show, export."),
    "segments": ("sending.segments:segments", "Whom mail is for, under a name: add, list, show, check, remove."),
    "campaigns": (
        "sending.campaigns:campaigns",
        "Campaigns: list, create, check, try, schedule, pause, resume, cancel, show, repeat.",
    ),
    "templates": (
        "sending.templates:templates",
        "Contents that campaigns start from: add, change, list, show, versions, use.",
    ),
    "events": ("sending.events:events", "What came back of our mail: list, show, replay, release, test, mail."),
    "mailbox": ("sending.mailbox:mailbox", "Run the listener for bounces and unsubscribe mails alone."),
    "explain": ("people.people:explain", "May we mail this person on this topic, and why?"),
    "links": ("people.people:links", "A person's own links, for support."),
    "tracking": (
        "people.tracking:tracking",
        "Offer people the switch to be seen opening and clicking, or take it away.",
    ),
    "ledger": ("installing.ledger:ledger", "The consent ledger: verify, sign, prove, check."),
    "privacy": ("people.privacy:privacy", "A person's data: export, erase; and what is kept no longer."),
    "keys": ("installing.keys:keys", "The keys that sign links: add, list."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and loads one only when it is called, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"preference_center.commands.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: preference-center demo",
)
@click.version_option(package_name="preference-center", message="%(version)s")
def cli() -> None:
    """Preference Center: nobody is mailed without valid consent, and leaving takes one click.

    Settings come from the environment or the file named by PREFERENCE_CENTER_ENV.
    """


def main() -> None:
    os.umask(0o077)  # whatever a command writes is for its user alone
    sys.exit(_run())


def _run() -> int:
    """Every way a command can end, as an exit status and at most a few plain lines."""
    try:
        _refuse_other_encodings(sys.argv)
        outcome: Any = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as wrong:
        wrong.show()
        return 2
    except click.ClickException as refused:
        return _say(refused.format_message())
    except (click.Abort, KeyboardInterrupt):
        return _say("Stopped.")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as trouble:
        return _say(_plain_words(trouble))
    return outcome if isinstance(outcome, int) else 0


def _refuse_other_encodings(arguments: list[str]) -> None:
    """Bytes that are no UTF-8 reach us as signs that no database and no file of ours can hold."""
    for number, argument in enumerate(arguments[1:], 1):
        if any("\udc80" <= sign <= "\udcff" for sign in argument):
            raise click.UsageError(f"Argument {number} is not text in UTF-8.")


def _plain_words(trouble: Exception) -> str:
    from preference_center.commands import faults

    return faults.in_plain_words(trouble)


def _say(words: str) -> int:
    click.echo(textwrap.dedent(words).strip(), err=True)
    return 1


if __name__ == "__main__":
    main()
