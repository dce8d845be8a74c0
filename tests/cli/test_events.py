"""`events` on the command line: everything it prints and does, without an address in it."""

import json

import pytest

from preference_center import clock
from preference_center.app import create_app
from preference_center.db import db, transaction
from preference_center.delivery.events import recording
from preference_center.providers.base import BounceClass, Event, Kind
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from tests.cli.conftest import Run
from tests.support import make

ANNA = "anna@example.org"
LOGIN = "hook:a-password-nobody-guesses-00"


@pytest.fixture
def told(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An installation with one bounce suppressed and one event that waits."""
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_POSTMARK_LOGINS", LOGIN)
    with create_app().app_context():
        with transaction():
            person = make.contact(ANNA)
            register.suppress(person.address_hash or b"", Cause.bounce, "provider:postmark:abc")
            event = Event(
                Kind.bounced, "key-1", "who@example.org", bounce_class=BounceClass.hard, detail=f"{ANNA} is gone"
            )
            recording.record("postmark", [event], clock.now())
        db.session.remove()
        db.engine.dispose()
    return environ


def test_events_are_listed_and_shown(told: dict[str, str], pc: Run) -> None:
    (row,) = json.loads(pc("events", "list", "--provider", "postmark", "--json").out)
    assert (row["kind"], row["bounce_class"], row["effect"]) == ("bounced", "hard", "waiting")
    assert "bounced (hard)" in pc("events", "list").out
    assert pc("events", "list", "--kind", "opened").out == "No events.\n"
    shown = pc("events", "show", row["id"])
    assert (shown.status, "<address> is gone" in shown.out, "@example.org" in shown.out) == (0, True, False)
    assert pc("events", "show", "nothing").status == 1
    assert pc("events", "show", row["id"], "--raw").err.startswith("The post this event was read from is not kept")


def test_addresses_are_counted_before_they_are_let_go(told: dict[str, str], pc: Run) -> None:
    counted = pc("events", "release", "--cause", "hard", "--domain", "example.org", "--dry-run", "--json")
    assert json.loads(counted.out) == {"dry_run": True, "count": 1}
    assert pc("events", "release", "--cause", "soft", "--yes").out == "0 addresses are released.\n"
    assert pc("events", "release", "--cause", "hard", "--yes").out == "1 addresses are released.\n"
    assert pc("events", "release", "--yes").out == "0 addresses are released.\n"
    assert pc("events", "release", "--drop").status == 2
    assert pc("events", "release", "--held", "--domain", "example.org").status == 2
    assert pc("events", "release", "--held", "--dry-run").out == "0 events would be released.\n"


def test_stored_posts_are_read_again(told: dict[str, str], pc: Run) -> None:
    assert pc("events", "replay", "--provider", "postmark").out == "0 posts were read again.\n"


def test_wrong_settings_of_hooks_are_named_with_all_others(
    environ: dict[str, str], pc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_POSTMARK_LOGINS", "hook:short")
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_NOBODY_KEYS", "x")
    monkeypatch.setenv("PREFERENCE_CENTER_PROXIES", "many")
    ended = pc("events", "list")
    assert ended.status == 1
    for name in ("HOOK_POSTMARK_LOGINS", "HOOK_NOBODY_KEYS", "PROXIES"):
        assert f"PREFERENCE_CENTER_{name}" in ended.err
    assert "hook:short" not in ended.err
