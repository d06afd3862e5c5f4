"""``nescio consistency`` as a person uses it: every kind of file, every option."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nescio.cli.main import run
from nescio.consistency.agreement import agreement
from nescio.trace import Prompt, Sample, Samples

FEW = ["--resamples", "200"]
ONE = ["--measure", "agreement"]
ROWS: list[dict[str, Any]] = [
    {"id": "sum", "samples": ["12", "it is 12", "13", "12"], "gold": "12"},
    {"id": "city", "samples": ["Paris", "Rome", "paris.", "Paris"], "gold": ["Paris"]},
    {"id": "hard", "samples": ["a", "b", "c", ""], "gold": "z"},
]


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "samples.jsonl", ROWS)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Thirty questions of which agreement says much."""
    rng = np.random.default_rng(0)
    rows = []
    for place, share in enumerate(rng.beta(1.2, 0.8, 30)):
        words = np.where(rng.random(6) < share, "a", rng.choice(list("bcd")))
        rows.append(
            {
                "id": f"q{place}",
                "samples": [
                    {"text": str(word), "logprob": float(-rng.random()), "tokens": 2}
                    for word in words
                ],
                "gold": "a",
                "subject": "odd" if place % 2 else "even",
                "story": f"s{place // 3}",
            }
        )
    return write_lines(tmp_path / "many.jsonl", rows)


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What the command prints with --json: exactly one object."""
    assert run(["consistency", *map(str, arguments), *FEW, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail)


def as_text(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["consistency", *map(str, arguments), *FEW]) == 0
    return capsys.readouterr().out


def test_the_json_holds_the_measures_own_numbers(capsys, file):
    found = as_json(capsys, file)
    assert set(found) >= {"estimates", "counts", "items", "groups", "measures", "notes"}
    assert [item["id"] for item in found["items"]] == ["sum", "city", "hard"]
    own = [agreement(row["samples"], resamples=200).value for row in ROWS]
    told = [item["measures"]["agreement"] for item in found["items"]]
    assert told == pytest.approx(own)
    assert found["estimates"]["agreement"]["value"] == pytest.approx(np.mean(own))
    assert [item["right"] for item in found["items"]] == [True, True, False]
    assert found["estimates"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["counts"] == {
        "questions": 3,
        "samples": 12,
        "invalid": 1,
        "all_invalid": 0,
        "tied": 1,
        "right": 2,
    }


def test_extraction_and_equivalence_decide_the_sets(capsys, file):
    plain = as_json(capsys, file, "--question", "sum")
    read = as_json(
        capsys,
        file,
        "--question",
        "sum",
        "--extract",
        "last-number",
        "--same",
        "number",
    )
    assert plain["counts"]["sets"] == 3
    assert read["counts"]["sets"] == 2
    assert read["estimates"]["agreement"]["value"] == 0.75
    assert read["right"] is True
    assert read["settings"]["answer"] == "last-number"
    assert read["settings"]["equivalence"]["equivalence"] == "number"


def test_gold_is_read_like_a_sample_where_that_finds_something(capsys, tmp_path):
    rows = [{"id": "q", "samples": ["so 12", "12.0"], "gold": "7 + 5 = #### 12"}]
    path = write_lines(tmp_path / "a.jsonl", rows)
    found = as_json(capsys, path, "--extract", "last-number", "--same", "number")
    assert found["right"] is True


def test_one_question_in_full_shows_sets_samples_and_partings(capsys, file):
    found = as_json(capsys, file, "--question", "city")
    assert found["id"] == "city"
    assert found["items"][1] == {"text": "Rome", "set": 1}
    assert found["groups"]["0"]["counts"] == {"votes": 3}
    assert found["groups"]["0"]["right"] is True
    assert found["divergence"]["unit"] == "word"
    assert len(found["similarities"]["rouge_l"]) == 4
    text = as_text(capsys, file, "--question", "city")
    assert "answer: Paris (3 of 4 samples, right)" in text
    assert "semantic_entropy_discrete" in text


def test_a_file_of_one_question_is_shown_in_full(capsys, tmp_path):
    path = write_lines(tmp_path / "one.jsonl", ROWS[:1])
    assert as_json(capsys, path)["id"] == "sum"


def test_information_is_in_the_unit_asked_for(capsys, file):
    bits, nats = (as_json(capsys, file, "--unit", unit) for unit in ("bits", "nats"))
    name = "semantic_entropy_discrete"
    values = [found["items"][2]["measures"][name] for found in (bits, nats)]
    assert values == pytest.approx([2.0, np.log(4)])
    means = [found["estimates"][name] for found in (bits, nats)]
    assert [one["unit"] for one in means] == ["bits", "nats"]
    assert means[0]["value"] == pytest.approx(means[1]["value"] / np.log(2))


def test_the_text_has_a_row_a_measure_and_the_most_doubtful_questions(capsys, many):
    text = as_text(capsys, many)
    assert "30 questions, 6 samples each" in text
    lines = [line.split() for line in text.splitlines() if line.strip()]
    row = next(line for line in lines if line[0] == "first_second_distance")
    assert len(row) > 6
    assert "most doubtful" in text
    assert "cross-validated" in text
    assert "right by the number of samples: 2 " in text


def test_with_gold_each_measure_is_judged_beside_the_reference(capsys, many):
    found = as_json(capsys, many)
    assert found["reference"] == "agreement"
    one = found["measures"]["agreement"]
    assert one["auroc_difference"] is None
    assert one["estimates"]["expected_calibration_error"]["null_level"] > 0
    assert sum(cell["rows"] for cell in one["reliability"]) == 30
    other = found["measures"]["cocoa"]
    assert other["rises_with"] == "uncertainty"
    assert 0 <= other["auroc_difference"]["p_value"] <= 1
    assert [p["samples"] for p in found["curves"]["samples"]] == [2, 3, 5, 6]
    assert found["calibrated"]["after"]["brier_score"]["value"] > 0
    assert found["details"] == {}  # only a page shows some questions in full


def test_gold_can_be_left_aside(capsys, many):
    found = as_json(capsys, many, "--no-gold")
    assert found["measures"] == {}
    assert found["items"][0]["right"] is None
    assert run(["consistency", str(many), "--no-gold", "--gold", "gold"]) == 2


def test_a_calibrator_is_saved_and_used_again(capsys, many, tmp_path):
    kept = tmp_path / "calibrator.json"
    as_text(capsys, many, "--save-calibrator", kept, *ONE)
    assert json.loads(kept.read_text())["calibrator"] == "agreement"
    found = as_json(capsys, many, "--calibrator", kept, "--no-gold", *ONE)
    probabilities = [item["probability_right"] for item in found["items"]]
    agreements = [item["measures"]["agreement"] for item in found["items"]]
    order = np.argsort(agreements, kind="stable")
    assert (np.diff(np.array(probabilities)[order]) >= -1e-12).all()
    one = as_json(capsys, many, "--calibrator", kept, "--question", "q3", *ONE)
    estimate = one["estimates"]["probability_right"]
    assert estimate["value"] == pytest.approx(probabilities[3])
    assert estimate["low"] < estimate["value"] < estimate["high"]


def test_groups_and_clusters_are_used(capsys, many):
    found = as_json(capsys, many, "--group", "subject", "--cluster", "story", *ONE)
    assert list(found["groups"]) == ["even", "odd"]
    assert found["groups"]["odd"]["counts"] == {"questions": 15}
    assert found["estimates"]["accuracy"]["n_clusters"] == 10
    assert "even" in as_text(capsys, many, "--group", "subject", "--no-gold", *ONE)


def test_adaptive_sampling_says_what_it_would_have_saved(capsys, many):
    found = as_json(capsys, many, "--adaptive", "0.9", "--no-gold", *ONE)
    assert 0 < found["estimates"]["samples_saved"]["value"] < 1
    assert all(1 < item["stops_after"] <= 6 for item in found["items"])
    assert "would have saved" in as_text(
        capsys, many, "--adaptive", "0.9", "--no-gold", *ONE
    )
    one = as_json(capsys, many, "--adaptive", "0.9", "--question", "q3", *ONE)
    assert one["stop"]["reason"] in ("lead", "most", "ended")


def test_answers_of_least_expected_loss_are_given(capsys, file, many):
    found = as_json(capsys, many, "--mbr", "edit", *ONE)
    assert all("least_expected_loss" in item for item in found["items"])
    assert "least_expected_loss_gain" in found["estimates"]
    one = as_json(capsys, file, "--question", "city", "--mbr", "zero_one")
    assert one["least_expected_loss"]["text"] == "Paris"
    assert "least expected" in as_text(capsys, file, "--mbr", "edit", *ONE)


def test_similarities_thresholds_and_conventions_are_passed_on(capsys, file):
    found = as_json(
        capsys, file, "--similarity", "jaccard", "--similarity", "edit",
        "--threshold", "0.9", "--link", "complete_link", "--convention", "paper",
    )  # fmt: skip
    assert found["settings"]["similarities"] == ["jaccard", "edit"]
    assert found["settings"]["convention"] == "paper"
    assert "eccentricity@edit" in found["estimates"]
    settings = found["estimates"]["agreement"]["recipe"]["settings"]
    assert settings["seed"] == 0


def test_only_measures_asked_for_are_taken_and_the_first_is_the_reference(capsys, many):
    found = as_json(
        capsys, many, "--measure", "number_of_sets", "--measure", "agreement"
    )
    assert list(found["measures"]) == ["number_of_sets", "agreement"]
    assert found["reference"] == "number_of_sets"


# Every kind of file


def agreements(found: dict[str, Any]) -> list[float]:
    return [item["measures"]["agreement"] for item in found["items"]]


def test_the_same_samples_give_the_same_numbers_from_every_file(capsys, tmp_path, file):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": row["id"], "samples": row["samples"]} for row in ROWS]
    long = [{"q": row["id"], "said": text} for row in ROWS for text in row["samples"]]
    nested, flat, cells, wide = (
        tmp_path / name for name in ("n.parquet", "l.jsonl", "l.csv", "w.csv")
    )
    pq.write_table(pa.table({k: [r[k] for r in rows] for k in rows[0]}), nested)
    write_lines(flat, [long[place] for place in (8, 0, 1, 4, 9, 5, 2, 6, 3, 7, 10, 11)])
    with cells.open("w", newline="") as out:
        writer = csv.DictWriter(out, ["q", "said"])
        writer.writeheader()
        writer.writerows(long)
    with wide.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "a", "b", "c", "d"])
        writer.writerows([row["id"], *row["samples"]] for row in ROWS)
    expected = agreements(as_json(capsys, file))
    assert agreements(as_json(capsys, nested)) == expected
    by_row = ["--id", "q", "--text", "said"]
    assert agreements(as_json(capsys, cells, *by_row)) == expected
    turned = as_json(capsys, flat, *by_row)
    assert sorted(agreements(turned)) == sorted(expected)
    assert [item["id"] for item in turned["items"]] == ["hard", "sum", "city"]
    assert agreements(as_json(capsys, wide, "--columns", "a,b,c,d")) == expected


def test_parquet_of_objects_has_its_log_probabilities(capsys, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    samples = [{"text": "a", "logprob": -0.5, "tokens": 1}] * 3
    path = tmp_path / "objects.parquet"
    pq.write_table(pa.table({"id": ["x", "y"], "samples": [samples, samples]}), path)
    found = as_json(capsys, path)
    assert found["items"][0]["measures"]["answer_log_probability"] == pytest.approx(
        -0.5 / np.log(2)
    )


def test_the_directory_of_nescio_sample_is_read(capsys, tmp_path):
    answers = tmp_path / "answers"
    prompts = write_lines(tmp_path / "p.jsonl", [{"id": "x", "prompt": "HT"}] * 1)
    command = ["sample", str(prompts), "--out", str(answers), "-n", "4", "--id", "id"]
    command += ["--model", "table:coin", "--max-tokens", "3"]
    assert run(command) == 0
    capsys.readouterr()
    found = as_json(capsys, answers)
    assert found["id"] == "x"
    assert found["counts"]["samples"] == 4
    assert "answer_perplexity" in found["estimates"]
    (answers / "samples.jsonl").unlink()
    assert run(["consistency", str(answers)]) == 2
    assert "not finished" in capsys.readouterr().err


def test_samples_that_nescio_wrote_are_read_with_their_traces(capsys, tmp_path):
    from tests.traces import make_candidates, make_trace

    candidates = make_candidates([[(b"12", -0.1), (b"13", -2.5)]])
    path = tmp_path / "written.jsonl"
    for _ in range(2):
        trace = make_trace(["12"], -0.1, candidates=candidates, entropy=0.3)
        rows = tuple(Sample("12", draw=i, trace=trace) for i in range(3))
        Samples(Prompt(text="7 + 5"), rows).write(path)
    found = as_json(capsys, path)
    assert [item["id"] for item in found["items"]] == ["line 1", "line 2"]
    assert found["items"][0]["measures"]["deep_confidence"] == pytest.approx(
        1.3 / np.log(2), rel=1e-6
    )
    one = as_json(capsys, path, "--question", "line 1")
    assert one["divergence"]["unit"] == "token"


def test_what_another_program_stored_is_read_where_it_has_several_answers(
    capsys, tmp_path
):
    def answer(item: str, texts: list[str]) -> dict[str, Any]:
        choices = [
            {"index": k, "message": {"role": "assistant", "content": text}}
            for k, text in enumerate(texts)
        ]
        body = {"id": item, "object": "chat.completion", "choices": choices}
        return {"custom_id": item, "response": {"status_code": 200, "body": body}}

    several = [answer("x", ["a", "a", "b"]), answer("y", ["c", "c", "c"])]
    path = write_lines(tmp_path / "batch.jsonl", [*several, answer("z", ["one"])])
    found = as_json(capsys, path)
    assert agreements(found) == pytest.approx([2 / 3, 1.0])
    assert any("1 items with one answer" in note for note in found["notes"])


def test_ids_are_lines_where_there_are_none_and_numbers_serve(capsys, tmp_path):
    bare = write_lines(tmp_path / "a.jsonl", [{"samples": ["a", "a"]}] * 2)
    assert [i["id"] for i in as_json(capsys, bare)["items"]] == ["line 1", "line 2"]
    rows = [{"id": k, "samples": ["a", "b"], "meta": {"right": 5}} for k in (7, 9)]
    numbered = write_lines(tmp_path / "b.jsonl", rows)
    found = as_json(capsys, numbered, "--gold", "meta.right")
    assert [item["id"] for item in found["items"]] == ["7", "9"]
    assert found["items"][0]["right"] is False


def test_the_page_is_written_for_one_question_and_for_all(capsys, file, tmp_path):
    for name, extra in (("all", []), ("one", ["--question", "sum"])):
        page = tmp_path / f"{name}.html"
        assert run(["consistency", str(file), *extra, *FEW, "--html", str(page)]) == 0
        assert "written" in capsys.readouterr().err
        text = page.read_text("utf-8")
        assert text.lower().startswith("<!doctype html>")
        assert "https://" not in text.replace("https://www.w3.org", "")


def test_the_help_names_every_option(capsys):
    assert run(["consistency", "--help"]) == 0
    text = capsys.readouterr().out
    for option in (
        "--extract", "--same", "--similarity", "--threshold", "--link", "--convention",
        "--calibrator", "--save-calibrator", "--measure", "--question", "--adaptive",
        "--mbr", "--level", "--resamples", "--seed", "--unit", "--json", "--html",
        "--id", "--samples", "--text", "--gold", "--prompt", "--columns",
    ):  # fmt: skip
        assert option in text


def test_a_model_that_is_named_may_judge_and_any_answer_of_a_joined_set_may_be_right(
    capsys, tmp_path
):
    tokens = [" yes", " no", *map(chr, range(32, 127)), "\n"]
    rest = [0.0] * (len(tokens) - 2)
    table = tmp_path / "judge.json"
    rows = [
        {"after": [], "p": [0.5, 0.5, *rest]},
        {"after": [":"], "p": [0.8, 0.2, *rest]},
    ]
    table.write_text(json.dumps({"tokens": tokens, "rows": rows}))
    said = [
        {"id": "x", "samples": ["six", "6", "six"], "gold": "6"},
        {"id": "y", "samples": ["six", "6", "6"], "gold": "six"},
    ]
    path = write_lines(tmp_path / "six.jsonl", said)
    plain = as_json(capsys, path, *ONE)
    assert [item["right"] for item in plain["items"]] == [False, False]
    assert "verdicts" not in plain
    found = as_json(capsys, path, *ONE, "--same", f"judge:table:{table}")
    assert [item["right"] for item in found["items"]] == [True, True]
    assert [item["votes"] for item in found["items"]] == [3, 3]
    assert len(found["verdicts"]["x"]) == 2
    assert found["settings"]["equivalence"] == "judge"
    assert any("said yes to all 4 pairs" in note for note in found["notes"])
    assert run(["consistency", str(path), "--same", "judge"]) == 2
    assert "names the model that judges" in capsys.readouterr().err


def test_an_encoder_may_compare_the_samples(capsys, file, monkeypatch):
    from nescio.models import encoders

    class Letters:
        """Vectors by the first letter."""

        name, settings = "letters", {}

        def vectors(self, texts: Any) -> np.ndarray:
            return np.array([[ord(text[0]) - 96.0, 1.0] for text in texts])

    monkeypatch.setattr(encoders, "encoder", lambda *_, **__: Letters())
    found = as_json(
        capsys, file, "--similarity", "embedding", "--similarity", "edit",
        "--threshold", "0.999",
    )  # fmt: skip
    assert found["settings"]["similarities"] == ["embedding letters", "edit"]
    assert "eccentricity@edit" in found["estimates"]
    assert [item["votes"] for item in found["items"]] == [3, 4, 1]
    assert run(["consistency", str(file), "--similarity", "vibes"]) == 2
    assert "embedding[:DIRECTORY]" in capsys.readouterr().err


def test_the_band_of_accuracy_by_coverage_is_told(capsys, many):
    curve = as_json(capsys, many, *ONE)["measures"]["agreement"]["risk_coverage"]
    assert len(curve["low"]) == len(curve["risk"]) == len(curve["high"]) == 30
    assert curve["level"] == 0.95
    rows = zip(curve["low"], curve["risk"], curve["high"], strict=True)
    assert all(low <= risk <= high for low, risk, high in rows)
