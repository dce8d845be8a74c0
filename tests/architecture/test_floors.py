"""Imports only go down: the table of floors, and every import of the house read against it."""

import ast

import pytest

from tests.support.sources import MODULES, read, unit_named, unit_of

FLOORS = {
    0: "config db driver engines prepared clock errors jobs signed_links i18n embedded lifelines serving timekeeping wall_clock failpoints "
    "kept_secrets lending turns relay_url settings_checks",
    1: "contacts accounts topics mail",
    2: "suppressions providers",
    3: "consent notices",
    4: "preferences segments",
    5: "campaigns",
    6: "delivery",
    7: "webhooks",
    8: "privacy",
    9: "web catcher samples supervisor",  # doors, and what the demo and one-machine commands put beside them
    10: "app migrations",
    11: "cli wsgi worker",  # where a process begins: each makes the app, and nothing imports them
}
FLOOR_OF = {unit: floor for floor, units in FLOORS.items() for unit in units.split()}


def imported_units(source: str) -> set[str]:
    """The rooms and base files a source imports anywhere, also inside a function or for types only."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write imports in full, so that they can be read here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head, _, rest = name.partition(".")
            if head == "worker":
                found.add("worker")
            elif head == "preference_center" and rest:
                found.add(unit_named(rest.split(".")[0]))
    return found


def forbidden(unit: str, source: str) -> set[str]:
    """What the source, lying in the unit, may not import."""
    floor = FLOOR_OF[unit]
    return {
        other
        for other in imported_units(source) - {unit}
        if FLOOR_OF.get(other, 99) > floor or (FLOOR_OF.get(other, 99) == floor and floor > 0)
    }


def test_every_room_and_base_file_has_a_floor() -> None:
    assert {unit_of(module) for module in MODULES} - {""} <= set(FLOOR_OF)


def test_imports_only_go_down() -> None:
    found = {str(module): forbidden(unit, read(module)) for module in MODULES if (unit := unit_of(module))}
    assert {module: upward for module, upward in found.items() if upward} == {}


@pytest.mark.parametrize(
    ("unit", "source", "found"),
    [
        ("consent", "from preference_center.contacts.models import Contact", set()),
        ("consent", "from preference_center.consent import bases", set()),
        ("consent", "from preference_center.delivery import outbox", {"delivery"}),
        ("consent", "def late():\n    from preference_center import delivery", {"delivery"}),
        ("consent", "import preference_center.notices.letters", {"notices"}),
        ("db", "from preference_center import clock", set()),
        ("db", "from preference_center import contacts", {"contacts"}),
        ("campaigns", "from worker.jobs import delivery", {"worker"}),
        ("web", "from preference_center.app import create_app", {"app"}),
        ("consent", "from preference_center.somewhere import thing", {"somewhere"}),
    ],
)
def test_the_rule_finds(unit: str, source: str, found: set[str]) -> None:
    assert forbidden(unit, source) == found
