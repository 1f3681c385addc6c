"""The journal's files: written, and then attacked."""

import os
import re
import shutil
from datetime import timedelta
from uuid import UUID

import pytest

from crypto.checkpoint import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, sign_note, split_note
from exchange.audit import journal, journal_files
from exchange.audit.generations import verifiers
from exchange.audit.journal import body_of
from exchange.audit.journal_files import JournalWriter, read_journal
from exchange.errors import JournalError
from exchange.events import Event, EventType
from tests.unit.audit.samples import NOW

ORIGIN = "log.example/cdx"
SIGNER = NoteSigner(journal.key_name(ORIGIN), bytes(range(32)))
LOG = NoteSigner(ORIGIN, bytes(range(32)))
PUBLIC = NoteVerifier.parse(SIGNER.vkey).public
OURS = verifiers([PUBLIC], ORIGIN, of_journal=True)
ENTRY = UUID("0195587a-0000-7000-8000-000000000009")


def a_line(status="SUSPENDED"):
    event = Event(type=EventType.CLIENT_STATUS_CHANGED, org="tax", detail={"client": "c-1", "status": status})
    return body_of(event, entry_id=ENTRY, at=NOW)


def a_writer(folder):
    writer = JournalWriter(folder, origin=ORIGIN, signers=[SIGNER], verifiers=OURS)
    assert writer.claim()
    return writer


def write_ends(folder, days=3):
    """A journal of several files and batches: two a day."""
    writer = a_writer(folder)
    for number in range(2 * days):
        writer.append([a_line("SUSPENDED"), a_line("ACTIVE")], NOW + timedelta(hours=12 * number))
    text = format_checkpoint(Checkpoint(origin=ORIGIN, size=7, root=bytes(32)))
    writer.write_checkpoint(sign_note(text, [LOG]))
    writer.release()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("journal")
    write_ends(path)
    return path


@pytest.fixture
def folder(tmp_path, written):
    path = tmp_path / "elsewhere"
    shutil.copytree(written, path)
    return path


def read(folder):
    return read_journal(folder, OURS)


def test_files_begin_anew_each_day_and_chain(folder):
    found = read(folder)
    assert found.faults == found.remarks == []
    assert found.number == 6
    assert len(list(folder.glob("journal-*"))) == 3
    assert len(list(found.records())) == 12


def test_one_writes_and_the_next_goes_on(folder):
    first = a_writer(folder)
    second = JournalWriter(folder, origin=ORIGIN, signers=[SIGNER], verifiers=OURS)
    assert not second.claim()
    first.release()
    assert second.claim()
    second.append([a_line()], NOW)
    second.release()
    found = read(folder)
    assert (found.faults, found.number) == ([], 7)


@pytest.mark.parametrize("torn_before", [0, 1])
def test_whatever_part_of_a_batch_a_crash_leaves_the_journal_goes_on(tmp_path, torn_before):
    write_ends(tmp_path, days=1)
    (path,) = tmp_path.glob("journal-*")
    whole = path.read_bytes()
    part = whole[whole.index(b"cdx/journal/v1\nbatch 2") :].replace(b"batch 2", b"batch 3")
    for size in range(0, len(part), 7):
        for other in tmp_path.glob("journal-*3*"):
            other.unlink()
        path.write_bytes(whole + part[: 0 if torn_before else size])
        if torn_before:  # the crash met the first batch of a new file
            (tmp_path / "journal-000000000003").write_bytes(part[:size])
        again = a_writer(tmp_path)
        again.append([a_line()], NOW)
        again.release()
        found = read(tmp_path)
        assert found.faults == []
        assert found.number == 3
        (tmp_path / "end").unlink()


def notes_of(folder):
    paths = sorted(folder.glob("journal-*"))
    return paths, [re.split(r"(?m)^(?=cdx/journal/v1$)", path.read_text())[1:] for path in paths]


def put(paths, notes):
    for path, some in zip(paths, notes, strict=True):
        path.write_text("".join(some))


def removed_line(folder):
    paths, notes = notes_of(folder)
    notes[1][0] = re.sub(r"(?m)^\{.*\}\n", "", notes[1][0], count=1)
    put(paths, notes)


def removed_batch(folder):
    paths, notes = notes_of(folder)
    del notes[1][0]
    put(paths, notes)


def removed_file(folder):
    notes_of(folder)[0][1].unlink()


def reordered(folder):
    paths, notes = notes_of(folder)
    notes[1].reverse()
    put(paths, notes)


def forged(folder):
    paths, notes = notes_of(folder)
    text = split_note(notes[2][1])[0]
    notes[2][1] = f"{text}\n" + NoteSigner(SIGNER.name, bytes(32)).sign(text)
    put(paths, notes)


def last_batch_cut(folder):
    paths, notes = notes_of(folder)
    del notes[2][1]
    put(paths, notes)


def truncated(folder):
    path = notes_of(folder)[0][2]
    path.write_bytes(path.read_bytes()[:-40])


def end_of_another_time(folder):
    text = journal.format_end(6, ORIGIN, bytes(32))
    (folder / "end").write_text(f"{text}\n" + SIGNER.sign(text))


def checkpoint_as_batch(folder):
    """The same key signs both: neither can be put in the place of the other."""
    paths, notes = notes_of(folder)
    notes[1].append((folder / "checkpoint").read_text())
    put(paths, notes)


ATTACKS = [
    removed_line,
    removed_batch,
    removed_file,
    reordered,
    forged,
    last_batch_cut,
    truncated,
    end_of_another_time,
    checkpoint_as_batch,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_journal_that_was_tampered_with_is_found_and_the_place_named(folder, attack):
    assert read(folder).faults == []
    attack(folder)
    faults = read(folder).faults
    assert faults
    assert re.search(r"journal-\d{12}, note \d|end: ", faults[0])


def test_a_journal_of_another_log_is_no_journal_of_ours(folder):
    found = read_journal(folder, verifiers([PUBLIC], "other.example/audit", of_journal=True))
    assert found.batches == []
    assert any("another log" in fault for fault in found.faults)


def test_it_goes_on_under_the_next_name_of_the_log(folder):
    name = f"{ORIGIN}/2"
    signer = NoteSigner(journal.key_name(name), bytes(range(32)))
    writer = JournalWriter(folder, origin=name, signers=[signer], verifiers=OURS)
    assert writer.claim()
    writer.append([a_line()], NOW)
    writer.release()
    found = read(folder)
    assert (found.faults, found.number, found.batches[-1].origin) == ([], 7, name)


def test_a_tampered_journal_is_not_gone_on_with(folder):
    last_batch_cut(folder)
    with pytest.raises(JournalError, match="went on to batch 6"):
        a_writer(folder)


def test_old_files_may_go_and_the_reader_says_where_it_begins(folder):
    notes_of(folder)[0][0].unlink()
    found = read(folder)
    assert found.faults == []
    assert any("begins with batch 3" in remark for remark in found.remarks)


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="cannot be read"):
        read(tmp_path / "nowhere")
    with pytest.raises(JournalError, match="missing"):
        journal_files.read_checkpoint(tmp_path / "nowhere")


def test_only_its_owner_reads_it(tmp_path):
    before = os.umask(0o077)  # as `cdx worker` sets it
    try:
        write_ends(tmp_path, days=1)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
