"""lm-eval's rows: choices, documents, generated answers, several filters."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import SchemaError
from nescio.imports import Mark, OutcomesFrom, Scored, import_file
from nescio.imports.multiple_choice import Option, choice_of
from nescio.trace import Prompt
from tests.imports.making import generated, question, rolled, write_lines

BYTES = OutcomesFrom(normalise="bytes")


def test_the_confidence_of_a_choice_is_the_softmax_of_its_best_option(
    tmp_path: Path,
) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        question(0, [-1.0, -2.0], "0", acc=1.0),
        question(1, [-3.0, -1.0, -1.0], "2", acc=0.0),
    )
    found = import_file(path)
    assert found.format == "lm-eval"
    expected = [1 / (1 + math.exp(-1)), 1 / (2 + math.exp(-2))]
    np.testing.assert_allclose(found.outcomes.confidence, expected, rtol=1e-12)
    assert found.outcomes.correct.tolist() == [True, False]  # the first of equal ones
    assert found.outcomes.ids == ("0", "1")
    assert found.predictions.scale == "logit"
    assert found.predictions.labels.tolist() == [0, 2]
    again = found.predictions.outcomes()
    np.testing.assert_allclose(again.confidence, expected, rtol=1e-12)
    assert again.correct.tolist() == found.outcomes.correct.tolist()
    assert found.marks[0] == Mark("0", None, "acc,none", True)
    text = Scored("0", "The capital of France is", " Paris", -1.0, False)
    assert found.scored[0] == text
    assert any("log-likelihoods of the options" in note for note in found.notes)


def test_options_may_be_compared_per_byte_of_the_option_alone(tmp_path: Path) -> None:
    options = (" Österreich", " Rom")  # 11 and 3 bytes without the blank
    row = question(0, [-5.5, -3.0], "0", options=options, acc=0.0, acc_bytes=1.0)
    path = write_lines(tmp_path / "s.jsonl", row)
    found = import_file(path, outcomes=BYTES)
    np.testing.assert_allclose(found.predictions.row(0), [-0.5, -1.0])
    assert found.outcomes.correct.tolist() == [True]
    expected = 1 / (1 + math.exp(-0.5))
    np.testing.assert_allclose(found.outcomes.confidence, [expected], rtol=1e-12)
    assert any("per byte" in note for note in found.notes)
    assert import_file(path).outcomes.correct.tolist() == [False]


@pytest.mark.parametrize(
    ("row", "label"),
    [
        (question(0, [-1.0, -2.0], "1"), 1),
        (question(0, [-1.0, -2.0], "Lyon"), 1),
        (question(0, [-1.0, -2.0], "[1]"), 1),
        (question(0, [-1.0, -2.0], "4", options=(" 3", " 4")), 1),
        (question(0, [-1.0, -2.0], "1", options=(" 1", " 0"), acc=1.0), 0),
        (question(0, [-1.0, -2.0], "1", options=(" 1", " 0"), acc=0.0), 1),
    ],
)
def test_a_target_is_the_number_or_the_text_of_an_option(
    tmp_path: Path, row: dict, label: int
) -> None:
    found = import_file(write_lines(tmp_path / "s.jsonl", row))
    assert found.predictions.labels.tolist() == [label]
    assert found.outcomes.correct.tolist() == [label == 0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (question(0, [-1.0, -2.0], "1", options=(" 1", " 0")), "text of another"),
        (question(0, [-1.0, -2.0], "0", acc=0.0), "acc is False, but the best option"),
        (question(0, [-1.0, -2.0], "Rome"), "is not stored"),
        (question(0, ["-inf", "-inf"], "0"), "none can be chosen"),
        (question(0, ["nan", -2.0], "0"), "NaN"),
        (question(0, [0.5, -2.0], "0"), "at most 0"),
        (question(0, ["lots", -2.0], "0"), "'lots', no number"),
        (question(None, [-1.0], "0"), "its id is None"),
        (
            question(0, [-1.0, -2.0], "0", resps=[[["-1", "False"]]]),
            "2 arguments for 1",
        ),
        (question(0, [-1.0, -2.0], "0", resps=[["-1"], ["-2"]]), "no log-likelihood"),
        (question(0, [-1.0, -2.0], "0", arguments="x"), "nothing that lm-eval writes"),
        (question("\ud800", [-1.0], "0"), "lone surrogate"),
    ],
)
def test_a_row_that_cannot_be_is_skipped_by_line(
    tmp_path: Path, row: dict, message: str
) -> None:
    good = question(9, [-1.0, -2.0], "0")
    found = import_file(write_lines(tmp_path / "s.jsonl", good, row))
    assert found.outcomes.ids == ("9",)
    ((where, why),) = found.skipped
    assert where == "line 2"
    assert message in why


def test_several_right_options_are_outcomes_but_no_predictions(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", question(0, [-2.0, -1.0, -9.0], "[0, 1]"))
    found = import_file(path)
    assert found.predictions is None
    assert found.outcomes.correct.tolist() == [True]
    assert any("not one right option" in note for note in found.notes)


def test_where_the_options_are_contexts_the_verdict_is_believed(tmp_path: Path) -> None:
    arguments = {
        "gen_args_0": {"arg_0": "The cup", "arg_1": " is on the table."},
        "gen_args_1": {"arg_0": "The table", "arg_1": " is on the table."},
    }
    row = question(0, [-1.0, -2.0], "1", arguments=arguments, acc=1.0)
    found = import_file(write_lines(tmp_path / "s.jsonl", row))
    assert found.outcomes.correct.tolist() == [True]
    assert found.predictions is None


def test_options_that_were_scored_alone_as_well_are_no_options(tmp_path: Path) -> None:
    row = question(0, [-1.0, -2.0], "0", acc=1.0)
    row["arguments"] |= {
        f"gen_args_{i + 2}": {"arg_0": "", "arg_1": text}
        for i, text in enumerate(["Paris", "Lyon"])
    }
    row["resps"] += [[["-0.1", "False"]], [["-0.2", "False"]]]
    found = import_file(write_lines(tmp_path / "s.jsonl", row))
    assert len(found.predictions.row(0)) == 2
    assert len(found.scored) == 4


def test_numbers_and_lists_of_earlier_versions_are_read_alike(tmp_path: Path) -> None:
    new = question(0, [-1.0, -2.0], "0", acc=1.0)
    old = new | {
        "arguments": [["The capital of France is", o] for o in (" Paris", " Lyon")],
        "resps": [[[-1.0, False]], [[-2.0, False]]],
    }
    first = import_file(write_lines(tmp_path / "new.jsonl", new))
    second = import_file(write_lines(tmp_path / "old.jsonl", old))
    assert first == second


def test_documents_scored_as_a_whole_keep_text_and_total(tmp_path: Path) -> None:
    rows = [rolled(i, "12345678", -8 * math.log(2)) for i in range(6)]
    found = import_file(write_lines(tmp_path / "s.jsonl", *rows))
    assert found.scored[0] == Scored("0", None, "12345678", -8 * math.log(2))
    assert found.samples == ()
    assert found.outcomes is None


def test_generated_answers_are_draws_of_one_prompt(tmp_path: Path) -> None:
    row = generated(3, "Paris", "Lyon", "Paris", exact_match=1.0)
    found = import_file(write_lines(tmp_path / "s.jsonl", row))
    ((item, samples),) = found.samples
    assert item == "3"
    assert samples.prompt == Prompt(text="The capital?")
    assert samples.texts == ("Paris", "Lyon", "Paris")
    assert [answer.draw for answer in samples.answers] == [0, 1, 2]
    assert found.marks == (Mark("3", None, "exact_match,none", True),)
    assert found.outcomes is None
    assert any("sequence_probability" in note for note in found.notes)


def test_one_answer_has_its_verdict_itself(tmp_path: Path) -> None:
    row = generated(3, "Paris", exact_match=0.0)
    found = import_file(write_lines(tmp_path / "s.jsonl", row))
    assert found.marks == (Mark("3", 0, "exact_match,none", False),)


def test_a_second_filter_adds_a_verdict_and_no_answer(tmp_path: Path) -> None:
    first = generated(3, "Paris", exact_match=0.0)
    second = generated(3, "Paris", exact_match=1.0, filter="strict")
    other = generated(3, "Rome", exact_match=1.0, filter="third")
    found = import_file(write_lines(tmp_path / "s.jsonl", first, second, other, second))
    assert [samples.texts for _, samples in found.samples] == [("Paris",)]
    assert [(m.name, m.correct) for m in found.marks] == [
        ("exact_match,none", False),
        ("exact_match,strict", True),
    ]
    reasons = dict(found.skipped)
    assert "other responses" in reasons["line 3"]
    assert "is on line 2 too" in reasons["line 4"]


def test_a_verdict_between_right_and_wrong_is_neither(tmp_path: Path) -> None:
    row = generated(3, "Paris", exact_match=0.5)
    found = import_file(write_lines(tmp_path / "s.jsonl", row))
    assert found.marks == ()
    ((where, why),) = found.skipped
    assert where == "line 1 (doc_id 3), exact_match,none"
    assert "0.5: neither right (1) nor wrong (0)" in why


def test_messages_that_the_harness_wrapped_are_messages(tmp_path: Path) -> None:
    wrapped = ['[{"role": "user", "content": "Capital?"}]']
    arguments = {"gen_args_0": {"arg_0": wrapped, "arg_1": {"until": []}}}
    row = generated(3, "Paris", arguments=arguments)
    found = import_file(write_lines(tmp_path / "s.jsonl", row))
    prompt = found.samples[0][1].prompt
    assert prompt == Prompt.of([{"role": "user", "content": "Capital?"}])


def test_no_option_has_a_length_of_zero(tmp_path: Path) -> None:
    row = question(0, [-1.0, -2.0], "0", options=(" ", " a"))
    path = write_lines(tmp_path / "s.jsonl", row)
    with pytest.raises(SchemaError, match="an option is empty"):
        import_file(path, outcomes=BYTES)


@given(
    logps=st.lists(st.floats(-50, 0), min_size=2, max_size=6),
    shift=st.floats(-20, 0),
    data=st.data(),
)
def test_what_is_added_to_every_option_changes_no_choice(
    logps: list[float], shift: float, data: st.DataObject
) -> None:
    target = data.draw(st.integers(0, len(logps) - 1))
    options = [Option("q", f" o{i}", logp, None) for i, logp in enumerate(logps)]
    labels, correct = choice_of(options, {"target": str(target)}, "none")
    assert labels == (target,)
    assert correct == (logps.index(max(logps)) == target)
    told = {"target": str(target), "acc": float(correct)}
    assert choice_of(options, told, "none") == (labels, correct)
    moved = [Option("q", o.text, o.logp + shift, None) for o in options]
    if len({o.logp for o in moved}) == len(set(logps)):  # rounding made no new ties
        assert choice_of(moved, told, "none") == (labels, correct)
