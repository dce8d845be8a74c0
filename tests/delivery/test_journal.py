"""The journal outlives its writer and says only what is certain."""

import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from preference_center.delivery.journal import Journal, Noted, newest_kept, read_abandoned, read_kept, this_boot


def test_a_journal_cannot_be_read_while_its_writer_lives(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "1.journal")
    assert read_abandoned(journal.path) is None
    with journal:
        pass


def test_what_a_dead_writer_noted_is_told_by_attempt(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "1.journal"
    with pytest.raises(KeyboardInterrupt), Journal(path) as journal:
        journal.attempts = {7: 1, 8: 1, 9: 2}
        journal.dot(7)
        journal.reply(7, 250)
        journal.dot(8)
        journal.dot(9)
        journal.reply(9, 451)
        raise KeyboardInterrupt
    noted = read_abandoned(path)
    assert noted is not None
    assert noted.replies == {(7, 1): 250, (8, 1): None, (9, 2): 451}


def test_a_line_cut_short_by_the_kill_proves_nothing_more_than_the_dot(tmp_path: Path) -> None:
    path = tmp_path / "1.journal"
    path.write_bytes(b"dot 7 1\nreply 7 1 25")
    noted = read_abandoned(path)
    assert noted is not None
    assert noted.replies == {(7, 1): None}


def test_a_run_that_claimed_nothing_leaves_no_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "1.journal") as journal:
        pass
    assert [*tmp_path.rglob("*")] == []
    assert not journal.path.exists()


def test_what_a_run_that_ended_well_handed_over_is_kept_for_a_week(tmp_path: Path) -> None:
    for name, day in (("1-a", 1), ("2-b", 7), ("3-c", 9)):
        with (
            time_machine.travel(datetime(2026, 11, day, tzinfo=UTC)),
            Journal(tmp_path / f"{name}.journal", "spring") as journal,
        ):
            journal.take([(7, 1, "anna"), (8, 3, "bo")])
            journal.dot(7)
            journal.reply(7, 250)
    assert newest_kept(tmp_path) == "3-c.journal"
    whole = Noted({(7, 1): 250}, True, "spring", {(7, 1): "anna", (8, 3): "bo"})
    assert list(read_kept(tmp_path)) == [whole, whole]
    assert [*tmp_path.glob("*.journal")] == []


def test_a_dot_of_which_the_disk_took_only_half_is_an_error(tmp_path: Path) -> None:
    """Otherwise the mail leaves, the journal denies it, and after a crash it is sent again."""
    journal = Journal(tmp_path / "1.journal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 4, hard))
    try:
        with pytest.raises(OSError, match="journal"), journal:
            journal.dot(123456)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_silence_after_another_boot_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "1.journal"
    for first in (b"boot another\n", b"", b"\0\0\0\0"):
        path.write_bytes(first + b"dot 7 1\nreply 7 1 250\n")
        noted = read_abandoned(path)
        assert noted is not None
        assert not noted.whole
    path.write_bytes(f"boot {this_boot()}\ndot 7 1\n".encode())
    assert read_abandoned(path) == Noted({(7, 1): None}, whole=True)
