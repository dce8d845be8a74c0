"""Imports 100,000 made-up customers of 10 columns in a fresh process and prints seconds, rows a second and peak memory as JSON.

python bench/import_contacts.py [--rows 100000] [--database-url postgresql+psycopg://…] [--embedded-postgresql]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--database-url", default="")
    arguments.add_argument("--embedded-postgresql", action="store_true", help="start a PostgreSQL of our own")
    arguments.add_argument("--child", default="", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.child:
        _import(Path(chosen.child), chosen.database_url)
        return
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder) / "people.csv", chosen.rows)
        url = chosen.database_url or _database(Path(folder), chosen.embedded_postgresql)
        command = [sys.executable, __file__, "--child", folder, "--database-url", url]
        subprocess.run(command, check=True)


def _database(folder: Path, embedded_postgresql: bool) -> str:
    if not embedded_postgresql:
        return f"sqlite:///{folder / 'bench.db'}"
    from bench.databases import create_database

    return create_database("pc_bench")


def _make(file: Path, rows: int) -> None:
    from preference_center.samples import made_up

    with file.open("wb") as out:
        out.writelines(made_up.lines(rows))


def _import(folder: Path, url: str) -> None:
    from preference_center.app import create_app
    from preference_center.consent.declaring import declared
    from preference_center.contacts import imports
    from preference_center.db import db, transaction
    from preference_center.samples import shop
    from tests.conftest import make_settings
    from tests.support.bell import WrittenBell

    with create_app(make_settings(folder, url), bell=WrittenBell()).app_context():
        db.create_all()
        with transaction():
            shop.add_topics()
        started, working = time.perf_counter(), time.process_time()
        with transaction(), (folder / "people.csv").open("rb") as stream:
            import_ = imports.receive(stream, "people.csv", "bench", imports.CLI_LIMIT)
        received = time.perf_counter()
        with transaction():
            declared.declare(import_, source="bench", basis="consent", topics=["news"])
        agreed = time.perf_counter()
        for step in declared.steps(import_.id):
            with transaction():
                progress = step()
        seconds = time.perf_counter() - started
        print(
            json.dumps(
                {
                    "database": db.engine.dialect.name,
                    "rows": progress.rows,
                    "megabytes": round(progress.bytes_total / 1e6, 1),
                    "seconds": round(seconds, 1),
                    "cpu_seconds": round(time.process_time() - working, 1),
                    "of_it_receiving": round(received - started, 1),
                    "of_it_looking_through": round(agreed - received, 1),
                    "rows_per_second": round(progress.rows / seconds),
                    "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                    "figures": progress.figures,
                }
            )
        )


if __name__ == "__main__":
    main()
