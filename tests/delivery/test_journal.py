"""The journal outlives its writer and says only what is certain."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from preference_center.delivery.journal import (
    Journal,
    Noted,
    newest_kept,
    put_aside,
    read_abandoned,
    read_kept,
    read_left,
    this_boot,
)


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


def test_a_reply_is_on_disk_with_the_next_dots_or_when_that_is_asked_for(tmp_path: Path) -> None:
    with Journal(tmp_path / "1.journal") as journal:
        journal.attempts = {7: 1, 8: 1, 9: 1}
        journal.dot(7)
        journal.reply(7, 250)
        journal.dot(8, 9)
        assert journal.path.read_text().endswith("\ndot 7 1\nreply 7 1 250\ndot 8 1\ndot 9 1\n")
        journal.reply(9, 451)
        journal.write()
        assert journal.path.read_text().endswith("\ndot 9 1\nreply 9 1 451\n")


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


@contextmanager
def _room_for(octets: int, journal: Journal) -> Iterator[None]:
    """A disk that takes so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_dot_of_which_the_disk_took_only_half_is_an_error(tmp_path: Path) -> None:
    """Otherwise the mail leaves, the journal denies it, and after a crash it is sent again."""
    journal = Journal(tmp_path / "1.journal")
    with _room_for(4, journal), pytest.raises(OSError, match="journal"), journal:
        journal.dot(123456)


@pytest.mark.parametrize("taken", [0, 4, 13, 14, len("reply 7 12 250\ndot 8 1")])
def test_a_reply_that_a_full_disk_did_not_take_is_written_once_there_is_room(tmp_path: Path, taken: int) -> None:
    journal = Journal(tmp_path / "1.journal")
    with pytest.raises(OSError), journal:
        journal.take([(7, 12, "anna"), (8, 12, "bo")])
        journal.dot(7)
        journal.reply(7, 250)
        with _room_for(taken, journal):
            journal.dot(8)
    assert read_abandoned(journal.path) == Noted({(7, 12): 250}, True, "", {(7, 12): "anna", (8, 12): "bo"})


def test_silence_after_another_boot_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "1.journal"
    for first in (b"boot another\n", b"", b"\0\0\0\0"):
        path.write_bytes(first + b"dot 7 1\nreply 7 1 250\n")
        noted = read_abandoned(path)
        assert noted is not None
        assert not noted.whole
    path.write_bytes(f"boot {this_boot()}\ndot 7 1\n".encode())
    assert read_abandoned(path) == Noted({(7, 1): None}, whole=True)


@pytest.mark.parametrize(
    "torn",
    [
        b"dot 12 ",
        b"dot 12 1\0\0\0",
        b"dot 12 1",
        b"\0\0\0\n",
        b"to 12 x anna\n",
        b"reply 12 1 \xff\xff\xff\n",
        b"dot 12 1 1\n",
    ],
)
def test_a_line_that_is_not_whole_says_nothing_and_stops_nobody(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "1.journal"
    path.write_bytes(b"boot another\ncampaign spring\nto 7 1 anna\ndot 7 1\nreply 7 1 250\n" + torn)
    [(name, noted)] = read_left(tmp_path)
    assert (name, noted) == ("1.journal", Noted({(7, 1): 250}, False, "spring", {(7, 1): "anna"}))


def test_a_journal_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.journal").mkdir()  # for its owner, too, nothing to read
    (tmp_path / "kept" / "2026-11-02" / "2.journal").mkdir(parents=True)
    (tmp_path / "3.journal").write_text("to 7 1 anna\n")
    assert [name for name, _ in read_left(tmp_path)] == ["3.journal"]
    assert list(read_kept(tmp_path)) == []


def test_a_torn_name_of_the_newest_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for torn in ("", "\0\0\0\0", "12-0bad"):
        (tmp_path / "kept" / "newest").write_text(torn)
        assert newest_kept(tmp_path) is None


def test_what_had_no_dot_when_the_next_chunk_began_did_not_leave_whatever_the_disk_lost(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Journal(tmp_path / "1.journal") as journal:
        journal.take([(7, 1, "anna"), (8, 1, "bo")])
        journal.dot(7)
        journal.take([(8, 1, "bo"), (9, 1, "cy")])
        journal.take([(10, 1, "di")])
        raise KeyboardInterrupt
    noted = read_abandoned(journal.path)
    assert noted is not None
    assert noted.people == {(7, 1): "anna", (10, 1): "di"}


@pytest.mark.parametrize(("boot", "whole"), [("", True), ("another", False)])
def test_what_a_dead_run_proves_is_proven_after_the_next_boot_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot: str, whole: bool
) -> None:
    path = tmp_path / "1.journal"
    path.write_text(f"boot {boot or this_boot()}\ncampaign spring\nchunk\nto 7 1 anna\ndot 7 1\nreply 7 1 25")
    put_aside(path)
    monkeypatch.setattr("preference_center.delivery.journal.this_boot", lambda: "the next")
    assert list(read_kept(tmp_path)) == [Noted({(7, 1): None}, whole, "spring", {(7, 1): "anna"})]
