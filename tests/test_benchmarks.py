"""The benchmarks: they start without the peers, and their arithmetic is right."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = (
    "agreement_peer",
    "calibration",
    "consistency",
    "corpus_scoring",
    "ensemble",
    "lens",
    "losses",
    "sampling",
    "speculative",
    "watching",
)


@pytest.fixture
def benchmarks(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def measuring(benchmarks: Path) -> ModuleType:
    assert (benchmarks / "measuring.py").exists()
    return importlib.import_module("measuring")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_explains_itself_without_any_peer(script: str, project: Path) -> None:
    path = project / "benchmarks" / f"{script}.py"
    command = [sys.executable, str(path), "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--quick" in run.stdout
    assert "--threads" in run.stdout


def test_a_missing_peer_is_left_out_and_said(project: Path, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(project / 'benchmarks')!r})\n"
        "from measuring import serve\n"
        "def prepare(task):\n"
        "    import a_peer_that_is_not_there\n"
        "serve(sys.argv[2], prepare)\n"
    )
    task = json.dumps({"name": "peer"})
    run = subprocess.run(
        [sys.executable, str(script), "--worker", task],
        capture_output=True,
        text=True,
        check=True,
        input="",
    )
    said = json.loads(run.stdout)["unavailable"]
    assert said == "a_peer_that_is_not_there is not installed; `make bench` installs it"


WORKING = """
import sys
sys.path.insert(0, {folder!r})
from measuring import Prepared, serve
def prepare(task):
    print("noise on standard output")
    if task["name"] == "broken":
        raise SystemExit("no such luck")
    return Prepared(lambda: {{"twice": 2 * task["number"]}}, lambda: {{"warm": True}})
serve(sys.argv[2], prepare)
"""


def test_methods_take_turns_and_a_broken_one_is_left_out(
    measuring: ModuleType, benchmarks: Path, tmp_path: Path
) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORKING.format(folder=str(benchmarks)))
    methods = [
        measuring.Method("good", "good", {"number": 21}),
        measuring.Method("bad", "broken", {"number": 1}),
    ]
    found, left_out = measuring.side_by_side(str(script), methods, rounds=2, threads=1)
    assert [one.method.label for one in found] == ["good"]
    assert found[0].answer == {"twice": 42}
    assert found[0].facts["warm"] is True
    assert len(found[0].seconds) == 2
    assert left_out == {"bad": "its process ended with code 1: no such luck"}


def test_an_earlier_result_stays_only_beside_one_of_the_same_recipe_and_code(
    measuring: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "RESULTS", tmp_path / "results")
    source = tmp_path / "src" / "one.py"
    source.parent.mkdir()
    source.write_text("1\n")
    assert measuring.earlier_result("named", tokens=3) == {}
    measuring.write_result("named", {"a": 1.5}, tokens=3)
    assert measuring.earlier_result("named", tokens=3) == {"a": 1.5}
    assert measuring.earlier_result("named", tokens=4) == {}
    source.write_text("2\n")
    assert measuring.earlier_result("named", tokens=3) == {}


def test_a_ratio_is_taken_within_each_round(measuring: ModuleType) -> None:
    found = measuring.ratio([1.0, 2.0, 4.0], [3.0, 4.0, 20.0])
    assert (found.value, found.low, found.high) == (3.0, 2.0, 5.0)


def test_the_columns_of_a_table_stand_under_their_heads(measuring: ModuleType) -> None:
    shown = measuring.table(["name", "x"], [["a", "1.0"], ["longer", "10.0"]])
    assert shown.splitlines() == [
        "name       x",
        "------------",
        "a        1.0",
        "longer  10.0",
    ]


def test_documents_differ_and_are_the_same_every_time(benchmarks: Path) -> None:
    assert benchmarks.is_dir()
    documents = importlib.import_module("documents")
    first, again = documents.corpus(), documents.corpus()
    sizes = [len(text.encode("utf-8")) for text in first.documents]
    assert first.digest == again.digest
    assert len(set(first.documents)) == len(sizes) == 17
    assert min(sizes) >= 250
    assert 2_600 <= max(sizes) < 2_700


def test_documents_are_there_without_the_reference_data(
    benchmarks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = importlib.import_module("documents")
    monkeypatch.setattr(documents, "_PLAYS", benchmarks / "absent.txt")
    found = documents.corpus()
    assert found.source == "the packaged passage"
    assert len(set(found.documents)) == 17


def test_lists_of_texts_differ_by_a_token_a_number_or_a_text_more(
    benchmarks: Path,
) -> None:
    assert benchmarks.is_dir()
    peer = importlib.import_module("agreement_peer")
    one = {"text": "61", "tokens": [[1, 2], [7]], "logp": [-1.0, -2.0], "total": -1.5}
    whole = {"prompts": [[0], [5]], "finished": [one]}

    def unlike(**changed: object) -> list[str]:
        return peer.differences(whole, whole | {"finished": [one | changed]})

    assert unlike() == []
    assert unlike(total=-1.5 + peer.TOLERANCE / 2) == []
    assert unlike(logp=[-1.0, -2.1]) == ["log-probabilities"]
    assert unlike(tokens=[[1, 2], [8]]) == ["tokens of text 0"]
    assert peer.differences(whole, whole | {"prompts": [[1], [5]]}) == [
        "the prompts' tokens"
    ]
    assert peer.differences(whole, whole | {"finished": [one, one]}) == [
        "how many finished"
    ]
    assert peer.differences({**whole, "finished": []}, {**whole, "finished": []}) == []


def test_a_search_that_was_given_up_counts_neither_as_the_same_nor_for_speed(
    benchmarks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmarks.is_dir()
    peer = importlib.import_module("agreement_peer")
    measuring = importlib.import_module("measuring")
    one = {"text": "61", "tokens": [[1], [7]], "logp": [-1.0, -2.0], "total": -1.5}
    found = {"prompts": [[0], [5]], "finished": [one], "decided": True, "seconds": 2.0}
    given_up = found | {"decided": False, "seconds": 90.0}
    other = found | {"finished": [one | {"text": "62"}], "seconds": 6.0}

    def measured(label: str, *answers: dict[str, object]) -> object:
        told = [{"even": a, "as it is": a} for a in answers]
        method = measuring.Method(label, label, {})
        return measuring.Measured(method, [], {"answers": told}, {})

    members = ["first", "second"]
    jobs = [
        {"case": case, "prompt": "Once", "members": members}
        for case in ("a", "a", "a", "b")
    ]
    ours = measured("ours", found, found, found, found)
    theirs = measured("published", given_up, found, other, given_up)
    rows = peer.compared(jobs, [ours, theirs])
    assert [row["even"] for row in rows] == [
        "not decided",
        "the same",
        ["text of text 0"],
        "not decided",
    ]
    some, none = peer.summed(rows, [ours, theirs])
    assert (some["even: the same"], some["even: not decided"]) == (1, 1)
    assert some["as it is: the same best text"] == 1
    assert (some["as it is: not decided"], none["as it is: not decided"]) == (1, 1)
    fast = some["times as fast"]["ours, even"]
    assert (fast["value"], fast["low"], fast["high"]) == (2.0, 1.0, 3.0)
    assert none["times as fast"]["ours, even"] is None
    assert none["nats apart"] is None
    peer.show([some, none], rows)
    assert capsys.readouterr().out.count("differs: a, 'Once': ['text of text 0']") == 1


def test_a_model_with_itself_may_spell_a_text_the_other_way_round(
    benchmarks: Path,
) -> None:
    assert benchmarks.is_dir()
    peer = importlib.import_module("agreement_peer")
    measuring = importlib.import_module("measuring")
    one = {"text": "61", "tokens": [[1, 2], [3]], "logp": [-1.0, -2.0], "total": -1.5}
    turned = one | {"tokens": [[3], [1, 2]], "logp": [-2.0, -1.0]}
    answers = [
        {"prompts": [[0], [0]], "finished": [text], "decided": True, "seconds": 1.0}
        for text in (one, turned)
    ]
    both = [
        measuring.Measured(
            measuring.Method(name, name, {}),
            [],
            {"answers": [{"even": answer, "as it is": answer}]},
            {},
        )
        for name, answer in zip(("ours", "published"), answers, strict=True)
    ]
    for members, found in (("ab", ["tokens of text 0"]), ("aa", "the same")):
        job = {"case": "a", "prompt": "Once", "members": list(members)}
        (row,) = peer.compared([job], both)
        assert row["even"] == found


def test_a_byte_that_was_given_no_probability_is_told_and_can_be_written(
    benchmarks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmarks.is_dir()
    script = importlib.import_module("ensemble")
    one = {"seconds": [1.0], "peak_bytes": None, "share_of_floor": []}
    entries = {
        "lost": {**one, "bits_per_byte": None},
        "kept": {**one, "bits_per_byte": 1.25},
    }
    script.show("a table", entries)
    lost, kept = capsys.readouterr().out.splitlines()[-2:]
    assert "∞" in lost
    assert "1.250" in kept
