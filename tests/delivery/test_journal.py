"""The journal outlives its writer and says only what is certain."""

from pathlib import Path

import pytest

from preference_center.delivery.journal import Journal, read_abandoned


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


def test_a_run_that_ended_well_leaves_no_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "1.journal") as journal:
        journal.dot(1)
    assert not journal.path.exists()
