"""The files of the house, for the tests about the house itself."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def _files(folder: str, ending: str) -> list[Path]:
    return sorted(
        file.relative_to(ROOT)
        for file in (ROOT / folder).rglob(f"*{ending}")
        if "__pycache__" not in file.parts and "_assets" not in file.parts
    )


MODULES = [
    file for folder in ("preference_center", "worker") for file in _files(folder, ".py") if "versions" not in file.parts
]
TESTS = _files("tests", ".py")
TEMPLATES = [file for file in _files("templates", "") if file.suffix in {".html", ".txt", ".xml", ".mjml"}]
CATALOGUES = _files("preference_center/translations", ".po")


def read(file: Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


# several files, one door: the command line with its commands, and `python -m preference_center`
_ONE_DOOR = {"commands": "cli", "__main__": "cli"}


def unit_of(module: Path) -> str:
    """The room or base file a module belongs to: `consent`, `db`; `worker` for all of it; empty for the package itself."""
    if module.parts[0] == "worker":
        return "worker"
    return "" if module.parts[1] == "__init__.py" else unit_named(module.parts[1])


def unit_named(name: str) -> str:
    name = name.removesuffix(".py")
    return _ONE_DOOR.get(name, name)
