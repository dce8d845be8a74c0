"""Runs every measurement whose name holds the given word, each in a process of its own, and prints what it found.

A measurement is a program in this folder that prints lines of JSON, one object for each run.
"""

import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BOTH = ([], ["--embedded-postgresql"])  # SQLite, and a PostgreSQL of our own
RUNS = {
    "send": ([],),
    "memory": ([],),
    "import_contacts": BOTH,
    "audience": BOTH,
    "verify_ledger": BOTH,
    "pages": BOTH,
    "webhooks": BOTH[1:],
    "bounces": ([],),
}


def run_all(word: str) -> int:
    chosen = {name: runs for name, runs in RUNS.items() if word in name}
    if not chosen:
        print(f"No measurement is named after {word!r}; there are: {', '.join(RUNS)}.", file=sys.stderr)
        return 1
    failed = 0
    for name, runs in chosen.items():
        for options in runs:
            done = subprocess.run([sys.executable, HERE / f"{name}.py", *options], stdout=subprocess.PIPE, text=True)
            failed += done.returncode != 0
            for line in filter(None, done.stdout.splitlines()):
                show(name, json.loads(line))
    return 1 if failed else 0


def show(name: str, found: dict[str, object]) -> None:
    table = Table(title=name, title_justify="left", show_header=False)
    for what, figure in found.items():
        table.add_row(what.replace("_", " "), f"{figure:,}" if isinstance(figure, int | float) else str(figure))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1] if len(sys.argv) > 1 else ""))
