"""A file of results that outlives what is done to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nescio.errors import InvalidInput
from nescio.evaluation.journal import Journal

HEADING = {"kind": "test"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Two results, and half a third."""
    made = Journal(tmp_path / "kept.jsonl", HEADING)
    made.append(0, "first")
    made.append(4, {"second": "é"})
    made.path.write_bytes(made.path.read_bytes() + b'[5, "ha')
    return made


def test_what_was_whole_stays_though_the_disk_is_full_while_a_torn_line_is_cut_off(
    journal, monkeypatch
):
    """Nothing that is whole is written again, so nothing of it can be lost."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "write_text", full)
    assert journal.read() == {0: "first", 4: {"second": "é"}}
    assert journal.path.read_bytes().endswith(b"}]\n")


def test_a_disk_that_is_full_half_way_costs_one_result(journal):
    assert len(journal.read()) == 2
    full = Journal(Path("/dev/full"), HEADING)
    if full.path.exists():
        with pytest.raises(InvalidInput, match="No space left"):
            full.append(0, "x")
    journal.append(5, "third")
    assert list(journal.read()) == [0, 4, 5]


def test_two_runs_never_write_one_file(journal):
    other = Journal(journal.path, HEADING)
    with journal.held():
        with (
            pytest.raises(InvalidInput, match=r"another run is at work on .*kept"),
            other.held(),
        ):
            pytest.fail("both hold it")
        journal.read()
        journal.append(7, "mine")
    with other.held():
        assert 7 in other.read()
    assert [path.name for path in journal.path.parent.iterdir()] == ["kept.jsonl"]


def test_another_process_is_kept_out_and_one_that_was_killed_keeps_nobody_out(journal):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from nescio.evaluation.journal import Journal\n"
        "with Journal(Path(sys.argv[1]), {}).held():\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(journal.path)],
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(InvalidInput, match="another run"), journal.held():
        pytest.fail("both hold it")
    process.kill()
    process.wait()
    process.stdout.close()
    with journal.held():
        assert len(journal.read()) == 2


def test_a_link_to_the_file_is_the_file(journal, tmp_path):
    link = tmp_path / "link.jsonl"
    link.symlink_to(journal.path)
    with (
        journal.held(),
        pytest.raises(InvalidInput, match="another run"),
        Journal(link, HEADING).held(),
    ):
        pytest.fail("both hold it")


def test_no_directory_is_made_to_keep_results_in(tmp_path):
    journal = Journal(tmp_path / "no" / "kept.jsonl", HEADING)
    with pytest.raises(InvalidInput, match="is no directory"), journal.held():
        pytest.fail("there is none")
    assert not (tmp_path / "no").exists()
