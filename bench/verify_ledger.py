"""Seals and verifies a ledger of 1,000,000 consent records of 500,000 contacts, and prints seconds and peak memory as JSON.

python bench/verify_ledger.py [--records 1000000] [--database-url postgresql+psycopg://…] [--embedded-postgresql]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
PART = 20_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--database-url", default="")
    arguments.add_argument("--embedded-postgresql", action="store_true", help="start a PostgreSQL of our own")
    arguments.add_argument("--child", default="", help=argparse.SUPPRESS)
    arguments.add_argument("--folder", default="", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.child:
        {"fill": fill, "seal": seal, "verify": verify}[chosen.child](
            Path(chosen.folder), chosen.database_url, chosen.records
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.database_url or _database(Path(folder), chosen.embedded_postgresql)
        found: dict[str, Any] = {"database": url.split(":")[0].split("+")[0], "records": chosen.records}
        for step in ("fill", "seal", "verify"):  # each in a process of its own, so that memory is its own
            command = [sys.executable, __file__, "--child", step, "--folder", folder, "--database-url", url]
            done = subprocess.run([*command, "--records", str(chosen.records)], check=True, stdout=subprocess.PIPE)
            found |= json.loads(done.stdout)
        print(json.dumps(found))


def _database(folder: Path, embedded_postgresql: bool) -> str:
    if not embedded_postgresql:
        return f"sqlite:///{folder / 'bench.db'}"
    from bench.databases import create_database

    return create_database("pc_bench_ledger")


def _app(folder: Path, url: str) -> Any:
    from preference_center.app import create_app
    from tests.conftest import make_settings
    from tests.support.bell import WrittenBell

    return create_app(make_settings(folder, url), bell=WrittenBell()).app_context()


def fill(folder: Path, url: str, records: int) -> None:
    """Half of the people came with an import and stay, the other half has left again; each record has its locked detail."""
    from preference_center import clock
    from preference_center.consent import vault, wordings
    from preference_center.consent.models import Action, ConsentRecord, State, Subscription
    from preference_center.db import db, insert_rows, new_public_ids, transaction
    from tests.support import make

    columns = (
        "id", "public_id", "contact_id", "purpose_key", "topic_id", "channel", "action", "legal_basis", "wording_id",
        "language", "source", "source_ref", "actor", "happened_at", "recorded_at", "evidence_digest",
    )  # fmt: skip
    with _app(folder, url):
        db.create_all()
        with transaction():
            topic = make.topic()
            wording = wordings.publish(topic, "en", "I want to get news by email. I can stop at any time.").id
            topic_id = topic.id
        people, start = records // 2, clock.now() - timedelta(days=900)
        for first in range(1, records + 1, PART):
            ids = range(first, min(first + PART, records + 1))
            with transaction():
                safe = vault.enclose({(id_ - 1) % people + 1 for id_ in ids})
                rows, kept, states = [], [], []
                for id_, name in zip(ids, new_public_ids(len(ids)), strict=True):
                    contact, at = (
                        (id_ - 1) % people + 1,
                        start + timedelta(seconds=60 * id_ % 70_000_000, microseconds=id_),
                    )
                    again = id_ > people
                    action = (Action.withdrawn if contact % 2 else Action.confirmed) if again else Action.given
                    digest, opened = safe.digest(
                        contact,
                        {"email": f"person{contact}@example.org", "network": "192.0.2.7", "agent": "Mozilla/5.0"},
                    ) or (None, b"")
                    told = (None, None, None) if action is Action.withdrawn else ("consent", wording, "en")
                    rows.append(
                        (id_, name, contact, "email_marketing", topic_id, "email", action, *told, "import", f"bench:{id_}",
                         "person", at, at, digest)
                    )  # fmt: skip
                    kept.append((id_, contact, opened))
                    state = State.withdrawn if action is Action.withdrawn else State.given
                    states.append((contact, topic_id, state, id_, None, told[0]))
                insert_rows(ConsentRecord.__table__, columns, rows)
                safe.keep(kept)
                insert_rows(
                    Subscription.__table__,
                    ("contact_id", "topic_id", "state", "record_id", "until", "legal_basis"),
                    states,
                    "replace",
                )
        if db.engine.dialect.name == "postgresql":
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
    print("{}")


def seal(folder: Path, url: str, records: int) -> None:
    from preference_center.consent.chain import seal as sealer
    from preference_center.db import transaction

    with _app(folder, url):
        started, sealed = time.perf_counter(), 0
        while sealed < records:
            with transaction():
                sealed += sealer.seal()
        seconds = time.perf_counter() - started
    print(json.dumps({"sealing_seconds": round(seconds, 1), "sealed_per_second": round(records / seconds)}))


def verify(folder: Path, url: str, records: int) -> None:
    from preference_center.consent import projection, vault
    from preference_center.consent.chain import checkpoints, rows, verifying

    with _app(folder, url) as context, rows.snapshot() as connection:
        settings = context.app.extensions["settings"]
        started, working = time.perf_counter(), time.process_time()
        kept = [checkpoints.take(connection, settings)]
        signed = time.perf_counter()
        finding = verifying.verify(connection, kept)
        chained = time.perf_counter()
        wrong = sum(1 for _ in projection.differences(connection))
        projected = time.perf_counter()
        lost = vault.missing()
        ended = time.perf_counter()
        assert (finding.records, finding.checkpoints, finding.faults, wrong, lost) == (records, 1, [], 0, [])
    print(
        json.dumps(
            {
                "checkpoint_seconds": round(signed - started, 1),
                "verify_seconds": round(ended - signed, 1),
                "cpu_seconds_with_checkpoint": round(time.process_time() - working, 1),
                "of_it_chain": round(chained - signed, 1),
                "of_it_states": round(projected - chained, 1),
                "of_it_evidence": round(ended - projected, 1),
                "records_per_second": round(records / (ended - signed)),
                "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )
    )


if __name__ == "__main__":
    main()
