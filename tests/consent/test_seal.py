"""The chain: whatever is changed in the database after sealing is found and named; what only a checkpoint finds is found by it."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from preference_center import clock
from preference_center.config import Settings
from preference_center.consent import keys, ledger
from preference_center.consent.chain import checkpoints, links, merkle, rows, seal
from preference_center.consent.chain.signed import Checkpoint
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord, ConsentSeal, SealGap
from preference_center.db import db, is_postgresql, transaction
from preference_center.errors import Invalid
from preference_center.topics.purposes import LegalBasis
from tests.consent.conftest import change, take, verify
from tests.support import make
from tests.support.sources import ROOT

pytestmark = pytest.mark.both_databases


def test_an_untouched_chain_verifies(history: list[str], app: Flask) -> None:
    finding = verify(take(app))
    assert (finding.records, finding.unsealed, finding.checkpoints, finding.faults) == (6, 0, 1, [])


def test_the_bytes_of_a_record_hold_every_column() -> None:
    columns = {column.name for column in ConsentRecord.__table__.columns}
    assert set(links.FIELDS) - set(links.MEANINGS) == columns, "a new column needs a new version of the bytes"
    assert len(set(links.FIELDS)) == len(links.FIELDS)


@pytest.mark.parametrize("column", [column.name for column in ConsentRecord.__table__.columns if column.name != "id"])
def test_a_changed_column_of_a_record_is_found_and_named(history: list[str], column: str) -> None:  # S70
    found = select(ConsentRecord.id, ConsentRecord.public_id, ConsentRecord.__table__.c[column].label("value"))
    filled = found.where(ConsentRecord.__table__.c[column].is_not(None)).order_by(ConsentRecord.id)
    number, public_id, before = db.session.execute(filled).first() or pytest.fail(f"{column} is filled nowhere")
    other = {int: 987, bytes: bytes(32), datetime: _moved(before)}.get(type(before), "x")
    change(f"UPDATE consent_records SET {column} = :other WHERE id = :id", other=other, id=number)
    (fault,) = verify().faults
    named = "x" if column == "public_id" else public_id
    assert fault.startswith(f"Consent record {named} (number {number}) is not what was sealed")


def _moved(before: object) -> object:
    if not isinstance(before, datetime):
        return None
    later = before + timedelta(microseconds=1)
    return later if is_postgresql() else rows.microseconds(later)


FILLED: dict[str, Callable[[], object]] = {
    "until": lambda: _moved(clock.now()),
    "legal_basis": lambda: "consent",
    "wording_id": lambda: 987,
    "language": lambda: "pl",
    "topic_id": lambda: 987,
    "evidence_digest": lambda: bytes(32),
}


@pytest.mark.parametrize("column", FILLED)
def test_a_column_that_was_emptied_or_filled_is_found(history: list[str], column: str) -> None:  # S70
    for value in ("NULL", "NOT NULL"):
        found = db.session.execute(
            text(f"SELECT id, public_id FROM consent_records WHERE {column} IS {value} ORDER BY id LIMIT 1")
        ).first()
        if found is None:
            continue  # this column is filled everywhere, or nowhere
        filled = FILLED[column]() if value == "NULL" else None
        change(f"UPDATE consent_records SET {column} = :value WHERE id = :id", value=filled, id=found.id)
        assert found.public_id in verify().faults[0]
        return


def test_a_new_id_for_a_record_is_found(history: list[str]) -> None:
    change("DELETE FROM consent_evidence WHERE record_id = 3")
    change("UPDATE consent_records SET id = 999 WHERE id = 3")
    assert verify().faults == ["Consent record number 3 is missing: it was deleted after it was sealed (seal 3)."]
    change("UPDATE consent_seals SET record_id = 999 WHERE record_id = 3")
    assert verify().faults[0].startswith(f"Consent record {history[2]} (number 999) is not what was sealed (seal 3)")


def test_a_deleted_record_is_found_and_named(history: list[str]) -> None:  # S70
    change("DELETE FROM consent_evidence WHERE record_id = 4")
    change("DELETE FROM consent_records WHERE id = 4")
    assert verify().faults == ["Consent record number 4 is missing: it was deleted after it was sealed (seal 4)."]


def test_a_record_deleted_with_its_seal_is_found(history: list[str]) -> None:
    change("DELETE FROM consent_evidence WHERE record_id = 4")
    change("DELETE FROM consent_records WHERE id = 4")
    change("DELETE FROM consent_seals WHERE record_id = 4")
    assert verify().faults[0].startswith("Seal 4 is missing")


def test_a_deleted_seal_is_found_also_when_the_rest_moves_up(history: list[str]) -> None:
    change("DELETE FROM consent_seals WHERE seq = 2")
    (fault,) = verify().faults
    assert fault.startswith("Seal 2 is missing") and history[2] in fault
    for seq in range(3, 7):
        change("UPDATE consent_seals SET seq = seq - 1 WHERE seq = :seq", seq=seq)
    assert history[2] in verify().faults[0]


def test_two_swapped_records_are_found(history: list[str]) -> None:
    change("UPDATE consent_seals SET record_id = CASE seq WHEN 2 THEN -1 ELSE -2 END WHERE seq IN (2, 4)")
    change("UPDATE consent_seals SET record_id = CASE record_id WHEN -1 THEN 4 ELSE 2 END WHERE seq IN (2, 4)")
    assert history[3] in verify().faults[0]


@pytest.mark.parametrize("column", ["hash", "sealed_at"])
def test_a_changed_seal_is_found(history: list[str], column: str) -> None:
    sealed = db.session.scalars(select(ConsentSeal.sealed_at)).first()
    value = bytes(32) if column == "hash" else _moved(sealed)
    change(f"UPDATE consent_seals SET {column} = :value WHERE seq = 3", value=value)
    assert history[2] in verify().faults[0]


def test_a_record_slipped_in_behind_the_sealer_is_found(history: list[str]) -> None:
    columns = ", ".join(c.name for c in ConsentRecord.__table__.columns if c.name not in ("id", "public_id"))
    change(
        f"INSERT INTO consent_records (id, public_id, {columns}) SELECT -5, 'slipped', {columns} FROM consent_records LIMIT 1"
    )
    assert verify().faults == ["Consent record slipped (number -5) was slipped in: the sealer had passed its number."]


def test_a_changed_wording_and_a_changed_topic_are_found(history: list[str]) -> None:  # S69
    change("UPDATE wordings SET text = 'I want everything.'")
    assert history[0] in verify().faults[0]
    change("UPDATE wordings SET text = 'I want news.'")
    assert verify().faults == []
    change("UPDATE topics SET key = 'offers'")
    assert history[0] in verify().faults[0]


def test_an_end_that_was_cut_off_is_found_by_a_checkpoint_and_by_nothing_else(history: list[str], app: Flask) -> None:
    kept = take(app)
    for statement in ("consent_evidence WHERE record_id", "consent_records WHERE id", "consent_seals WHERE seq"):
        change(f"DELETE FROM {statement} > 4")
    assert verify().faults == []
    (fault,) = verify(kept).faults
    assert fault.startswith("The chain ends at seal 4") and "remembers seal 6: the end was cut off" in fault


def _rechain(key: bytes) -> None:
    """The whole chain made anew over the records as they are now."""
    with transaction():
        connection, previous = db.session.connection(), links.START
        meanings = rows.Meanings(connection)
        found = connection.execute(
            text(
                f"SELECT s.seq, {rows.moment(connection, 's.sealed_at')}, {rows.columns(connection)}"
                " FROM consent_seals s JOIN consent_records r ON r.id = s.record_id ORDER BY s.seq"
            )
        ).all()
        for seq, sealed_at, *values in found:
            record = links.record_bytes(meanings.fill(values))
            previous = links.link_hash(links.link_key(key, seq), seq, sealed_at, previous, record)
            connection.execute(
                text("UPDATE consent_seals SET hash = :hash WHERE seq = :seq"), {"hash": previous, "seq": seq}
            )


def test_a_history_made_anew_without_the_key_is_found(history: list[str]) -> None:
    change("UPDATE consent_records SET action = 'given' WHERE id = 6")
    _rechain(keys.derive("another secret of the right length", "pc.seal.v1"))
    assert history[0] in verify().faults[0]


def test_a_history_made_anew_with_the_key_is_found_by_a_checkpoint_and_by_nothing_else(
    history: list[str], app: Flask
) -> None:
    kept = take(app)
    change("UPDATE consent_records SET action = 'given' WHERE id = 6")
    _rechain(keys.chain_key())
    assert verify().faults == []
    assert "remembers another history up to seal 6" in verify(kept).faults[0]


def test_what_is_not_sealed_yet_is_told_and_is_no_fault(history: list[str]) -> None:
    assert (seal.waiting(), seal.tail()) == (False, (0, None))
    with transaction():
        made = make.contact("carl@example.org")
        record = ledger.withdraw_all(made, "email_marketing", Evidence("link"))
    assert record is not None
    assert seal.waiting()
    assert seal.tail() == (1, record.recorded_at)
    finding = verify()
    assert (finding.records, finding.unsealed, finding.faults) == (6, 1, [])


def test_a_backlog_is_sealed_in_parts_and_all_of_it(history: list[str]) -> None:
    with transaction():
        topic = make.topic("offers", "Offers")
        for number in range(25):
            make.follower(topic, f"person{number}@example.org")
    sizes = []
    while True:
        with transaction():
            sizes.append(seal.seal(10))
        if not sizes[-1]:
            break
    assert sizes == [10, 10, 5, 0]
    assert (verify().records, verify().faults) == (31, [])


@pytest.mark.only_postgresql
def test_a_record_that_commits_late_with_a_lower_id_is_sealed_later_and_a_rolled_back_one_is_forgotten(
    app: Flask,
) -> None:
    with transaction():
        topic = make.topic()
        contact = make.contact()
        make.contact("ben@example.org")
    wanted = (contact.id, topic.id)
    db.session.rollback()
    with db.engine.connect() as slow, db.engine.connect() as lost:
        values = (
            "INSERT INTO consent_records (public_id, contact_id, purpose_key, topic_id, channel, action, source, source_ref, actor,"
            " happened_at, recorded_at) VALUES (:name, :contact, 'email_marketing', :topic, 'email', 'given', 'form', '', 'person',"
            " now(), now())"
        )
        for connection, name in ((slow, "slow"), (lost, "lost")):
            connection.execute(text(values), {"name": name, "contact": wanted[0], "topic": wanted[1]})
        with transaction():
            db.session.execute(text(values), {"name": "quick", "contact": wanted[0], "topic": wanted[1]})
        with transaction():
            assert seal.seal() == 1
        assert db.session.execute(select(SealGap.first_id, SealGap.last_id)).all() == [(1, 2)]
        slow.commit()
        lost.rollback()
    assert seal.tail()[0] == 1
    with transaction():
        assert seal.seal() == 1
    order = select(ConsentRecord.public_id).join(ConsentSeal, ConsentSeal.record_id == ConsentRecord.id)
    assert list(db.session.scalars(order.order_by(ConsentSeal.seq))) == ["quick", "slow"]
    assert db.session.execute(select(SealGap.first_id, SealGap.last_id)).all() == [(2, 2)]
    assert verify().faults == []
    with transaction():
        db.session.execute(text("UPDATE consent_seal_gaps SET seen_at = seen_at - interval '2 days'"))
        assert seal.seal() == 0
    assert db.session.scalar(select(func.count()).select_from(SealGap)) == 0


def test_writers_and_two_sealers_at_once_leave_one_whole_chain(app: Flask) -> None:  # P10
    seed = random.randrange(2**32)
    with transaction():
        topic_id = make.topic().id
    db.session.rollback()
    people, done = 30, threading.Event()

    def write(number: int) -> None:
        dice = random.Random(seed + number)
        from preference_center.topics.models import Topic

        with app.app_context():
            for turn in range(people):
                try:
                    with transaction():
                        person = make.contact(f"person{number}-{turn}@example.org")
                        ledger.grant(person, db.session.get_one(Topic, topic_id), LegalBasis.consent, Evidence("form"))
                        if dice.random() < 0.3:
                            db.session.flush()
                            done.wait(dice.random() / 50)
                        if dice.random() < 0.2:
                            raise ZeroDivisionError
                except ZeroDivisionError:
                    pass

    def seal_on() -> None:
        with app.app_context():
            while not done.is_set():
                with transaction():
                    seal.seal(7)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    sealers = [threading.Thread(target=seal_on) for _ in range(2)]
    for thread in (*writers, *sealers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in sealers:
        thread.join()
    with transaction():
        seal.seal_all()
    finding = verify()
    written = db.session.scalar(select(func.count()).select_from(ConsentRecord))
    print(f"seed {seed}: {written} records")
    assert (finding.records, finding.unsealed, finding.faults) == (written, 0, [])
    assert written and written > people


KILLED = """
import sys, time
from datetime import datetime
from pathlib import Path
from preference_center.app import create_app
from preference_center.db import db, transaction
from preference_center.consent import ledger
from preference_center.consent.chain import seal
from preference_center.consent.ledger import Evidence
from preference_center.topics import catalogue
from preference_center.topics.purposes import LegalBasis
from tests.conftest import make_settings
from tests.support import make
from tests.support.bell import WrittenBell
app = create_app(make_settings(Path(sys.argv[1]), sys.argv[2]), bell=WrittenBell())
with app.app_context():
    topic = catalogue.by_key("news")
    number = 0
    while True:
        with transaction():
            ledger.grant(make.contact(f"{sys.argv[3]}-{number}@example.org"), topic, LegalBasis.consent, Evidence("form"))
        print(number, flush=True)
        if number % 3 == 0:
            with transaction():
                seal.seal(2)
                print("sealing", flush=True)
        number += 1
"""


@pytest.mark.processes
def test_a_process_killed_between_record_and_seal_leaves_a_chain_that_verifies(
    app: Flask, settings: Settings
) -> None:  # P10
    with transaction():
        make.topic()
    db.session.rollback()
    for attempt in range(3):
        command = [sys.executable, "-c", KILLED, str(settings.data_dir), settings.database_url, f"run{attempt}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
            assert running.stdout
            for lines, line in enumerate(running.stdout):
                if lines > 10 + 3 * attempt and (line.strip() == "sealing" or attempt == 2):
                    break
            os.kill(running.pid, signal.SIGKILL)
        finding = verify()
        assert finding.faults == []
        assert finding.unsealed > 0
    with transaction():
        seal.seal_all()
    finding = verify()
    assert (finding.faults, finding.unsealed) == ([], 0)
    assert finding.records > 15


def test_kept_checkpoints_are_one_a_day_and_a_changed_one_is_refused(history: list[str], settings: Settings) -> None:
    file = checkpoints.file_of(settings)

    def daily() -> Checkpoint | None:
        db.session.rollback()
        with rows.snapshot() as connection:
            return checkpoints.keep_daily(connection, settings)

    first = daily()
    assert first is not None and daily() is None
    assert checkpoints.read(file, {checkpoints.own_key(settings) or ""}) == [first]
    assert checkpoints.key_file(settings).stat().st_mode & 0o077 == 0
    with file.open("ab") as out:
        out.write(b'{"schema":"pc.che')  # a crash in the middle of a line
    assert checkpoints.read(file) == [first]
    checkpoints.keep(first, file)
    assert checkpoints.read(file) == [first, first]
    line = file.read_bytes().splitlines()[0]
    for at in range(0, len(line), 7):
        file.write_bytes(line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :] + b"\n")
        with pytest.raises(Invalid, match="line 1"):
            checkpoints.read(file)
    file.write_bytes(line + b"\n")
    with pytest.raises(Invalid, match="not that of this installation"):
        checkpoints.read(file, {"00" * 32})


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70), st.data())
def test_each_leaf_of_a_tree_has_a_path_to_its_root_and_to_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    tree = merkle.Tree(range(len(leaves)))
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root() == tree.close() == _plain_root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = tree.paths[index], tree.root()
    assert merkle.root_from(leaves[index], index, len(leaves), path) == root
    other = data.draw(st.integers(0, len(leaves) + 1).filter(lambda other: other != index))
    if len(leaves) > other and leaves[other] != leaves[index]:
        assert merkle.root_from(leaves[other], other, len(leaves), path) != root
    assert merkle.root_from(bytes(32), index, len(leaves), path) != root or leaves[index] == bytes(32)
    assert merkle.root_from(leaves[index], index, len(leaves), [*path, bytes(32)]) is None


def _plain_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, as it is written there."""
    from hashlib import sha256

    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01" + _plain_root(leaves[:half]) + _plain_root(leaves[half:])).digest()


def test_the_bytes_and_the_hash_of_a_link_stay_as_they_were_published() -> None:
    """A known answer: who changes this breaks every chain there is."""
    values = [7, "abc", 3, "email_marketing", 1, "news", "email", "given", "consent", 2, "ab" * 32, "pl"]
    record = links.record_bytes(
        [*values, "form", "zażółć", "person", None, 1, 2, None, None]
    )  # without rules: version 1
    assert record.startswith(b'["pc.record.v1",7,"abc",3,"email_marketing",1,"news","email","given","consent",2,"abab')
    assert record.endswith(b',"pl","form","za\\u017c\\u00f3\\u0142\\u0107","person",null,1,2,null]')
    made = links.link_hash(links.link_key(b"k" * 32, 1), 1, 1_700_000_000_000_000, links.START, record)
    assert made.hex() == "a220a57bbda7aca2f55164442bc5b90297c8b78b8a309fb53808be205216e2af"
    newer = links.record_bytes([*values, "form", "zażółć", "person", None, 1, 2, None, "PL/form/2026-11-22"])
    assert newer == record[:-1].replace(b"record.v1", b"record.v2") + b',"PL/form/2026-11-22"]'
    old = dict(zip(links.FIELDS[:-1], [*values, "form", "zażółć", "person", None, 1, 2, None], strict=True))
    assert links.bytes_of(old) == record, "a proof file from before still checks"
