"""Runs every measurement whose name holds the given word, each in a process of its own, and prints one table."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent


def run_all(word: str) -> int:
    names = [file.stem for file in sorted(HERE.glob("measure_*.py")) if word in file.stem]
    if not names:
        print(f"No measurement is named after {word!r}.", file=sys.stderr)
        return 1
    table = Table("measurement", "what", "figure", "aim")
    failed = 0
    for name in names:
        done = subprocess.run([sys.executable, "-m", "bench", f"--one={name}"], stdout=subprocess.PIPE, text=True)
        failed += done.returncode != 0
        for figure in json.loads(done.stdout or "[]"):
            table.add_row(name.removeprefix("measure_"), *figure)
    Console().print(table)
    return 1 if failed else 0


def run_one(name: str) -> int:
    figures = import_module(f"bench.{name}").measure()
    print(json.dumps([[figure.what, figure.value, figure.aim] for figure in figures]))
    return 0


if __name__ == "__main__":
    argument = sys.argv[1] if len(sys.argv) > 1 else ""
    sys.exit(run_one(argument.removeprefix("--one=")) if argument.startswith("--one=") else run_all(argument))
