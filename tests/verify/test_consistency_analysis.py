"""The analysis of the runs on real models, on answers whose worth is known."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from math import comb, exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio import Decoding
from nescio.consistency.answers import Answers, answers_of
from nescio.evaluation import Layout, Question, Task
from nescio.evaluation.extraction import extraction
from nescio.evaluation.generated import judged
from nescio.evaluation.replies import Reply
from tests.consistency.numbers import number

QUESTIONS, SAMPLES = 240, 20
Load = Callable[[str], Any]


@pytest.fixture
def load(project: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """A module of the experiments, which are no package."""
    monkeypatch.syspath_prepend(str(project / "experiments"))
    return importlib.import_module


def said(text: str, logp: float) -> Reply:
    return Reply(text, (logp,), -0.01, "stop_string", (len(text),))


def asked_of(
    load: Load, greedy: Sequence[Reply], samples: Sequence[Sequence[Reply]]
) -> Any:
    """Questions whose right answer is always "yes"."""
    questions = tuple(
        Question(f"{row}", f"Is it {row}?", ("yes",)) for row in range(len(greedy))
    )
    task = Task("known", questions, extraction("first-line"))
    return load("_consistency_compared").compared_of(
        task, judged(task, list(greedy)), samples
    )


def made(load: Load, *, samples_know: bool, greedy_knows: bool) -> Any:
    """Half of the questions are easy; one of the two confidences may know which."""
    rng = np.random.default_rng(4)
    easy = np.arange(QUESTIONS) % 2 == 0
    right = rng.random(QUESTIONS) < np.where(easy, 0.9, 0.3)
    noise = rng.permutation(QUESTIONS)
    greedy, samples = [], []
    for row in range(QUESTIONS):
        text = "yes" if right[row] else "no"
        sure = easy[row] if greedy_knows else easy[noise[row]]
        greedy.append(said(text, log((0.9 if sure else 0.4) + rng.random() / 20)))
        known = easy[row] if samples_know else easy[noise[row]]
        votes = rng.binomial(SAMPLES, 0.9 if known else 0.55)
        texts = [text] * votes + ["perhaps"] * (SAMPLES - votes)
        samples.append([said(one, -1.0) for one in rng.permutation(texts).tolist()])
    return asked_of(load, greedy, samples)


def auroc_differences(load: Load, one: Any) -> dict[str, Any]:
    return {
        judged_on: found["auroc"]
        for judged_on, name, found in load("_consistency_compared").comparisons(one)
        if name == "sequence" and "auroc" in found
    }


def test_samples_that_know_more_than_the_greedy_answer_are_found_to(load: Load) -> None:
    found = auroc_differences(load, made(load, samples_know=True, greedy_knows=False))
    assert len(found) == 2
    assert all(number(one.low) > 0.1 for one in found.values())


def test_a_greedy_answer_that_knows_more_than_samples_is_found_to(load: Load) -> None:
    found = auroc_differences(load, made(load, samples_know=False, greedy_knows=True))
    assert len(found) == 2
    assert all(number(one.high) < -0.1 for one in found.values())


def test_calibrated_losses_have_the_sign_of_what_is_known(load: Load) -> None:
    one = made(load, samples_know=True, greedy_knows=False)
    for _, name, found in load("_consistency_compared").comparisons(one):
        if name == "sequence" and "brier_score, calibrated" in found:
            expected = "mean of both" not in _
            for measure in ("brier_score", "log_loss"):
                high = number(found[f"{measure}, calibrated"].high)
                assert high < 0 or not expected


def test_a_share_that_is_the_probability_ranks_exactly_as_it_does(load: Load) -> None:
    rng = np.random.default_rng(5)
    votes = rng.integers(1, SAMPLES + 1, 60)
    right = rng.random(60) < votes / SAMPLES
    texts = ["yes" if one else "no" for one in right]
    greedy = [
        said(text, log(count / SAMPLES))
        for text, count in zip(texts, votes, strict=True)
    ]
    samples = [
        [said(text if place < count else "perhaps", -1.0) for place in range(SAMPLES)]
        for text, count in zip(texts, votes.tolist(), strict=True)
    ]
    one = asked_of(load, greedy, samples)
    np.testing.assert_allclose(one.share.confidence, votes / SAMPLES)
    np.testing.assert_array_equal(one.share.correct, one.greedy["sequence"].correct)
    found = auroc_differences(load, one)
    assert found["both on the greedy answer"].value == pytest.approx(0.0, abs=1e-12)
    leads = votes > SAMPLES / 2
    assert (one.same[leads]).all()
    assert not one.same[votes < SAMPLES / 2].any()
    np.testing.assert_allclose(
        one.own.confidence, np.maximum(votes, SAMPLES - votes) / SAMPLES
    )


def test_a_reply_without_an_answer_is_never_right_and_never_sure(load: Load) -> None:
    greedy = [said(text, -0.1) for text in ("", "yes", "no", "yes")]
    texts = [["yes", "yes"], ["", ""], ["no", "no"], ["yes", ""]]
    one = asked_of(load, greedy, [[said(t, -1.0) for t in row] for row in texts])
    assert one.share.confidence.tolist() == [0.0, 0.0, 1.0, 0.5]
    assert one.share.correct.tolist() == [False, True, False, True]
    assert one.own.confidence.tolist() == [1.0, 0.0, 1.0, 0.5]
    assert one.own.correct.tolist() == [True, False, False, True]
    assert one.greedy["sequence"].confidence[0] == 0.0
    assert one.same.tolist() == [False, False, True, True]


def test_the_first_samples_have_their_own_leader(load: Load) -> None:
    cut = load("_consistency_measures").cut
    answers = answers_of(["b", "a", "a"], id="one")
    first = cut(answers, 1)
    assert (first.keys, first.leader, len(first)) == (("b",), 0, 1)
    assert cut(answers, 3).leader == 1
    nothing = cut(answers_of(["", "a"]), 1)
    assert nothing.leader is None


def even(n: int) -> Answers:
    return answers_of(["a", "b"] * (n // 2), id="even")


def test_the_simulated_bias_of_two_even_answers_is_the_binomial_one(load: Load) -> None:
    bias = load("_consistency_fewer").simulated_bias
    mean, above = bias([even(20)] * 50, 20)
    assert above == pytest.approx(comb(20, 10) / 2**21, abs=0.004)
    assert mean == pytest.approx(0.5 + above)
    sure, none = bias([answers_of(["a"] * 20)], 5)
    assert (sure, none) == (1.0, 0.0)
    assert bias([answers_of(["", ""])], 5) == (0.0, 0.0)  # nothing is never sure


def test_stopping_early_where_all_agree_saves_sixteen_of_twenty(load: Load) -> None:
    greedy = [said("yes" if row % 2 else "no", -0.1) for row in range(12)]
    samples = [[said("yes" if row % 2 else "no", -1.0)] * SAMPLES for row in range(12)]
    one = asked_of(load, greedy, samples)
    found = load("_consistency_fewer").adaptive_told(one)
    assert (found["mean samples"], found["fixed"]) == (4.0, 4)
    assert found["estimates"]["samples_saved"]["value"] == pytest.approx(0.8)
    for name in ("accuracy less that of all", "leader_changed"):
        assert found["estimates"][name]["value"] == 0.0


def test_the_mean_over_tasks_has_the_interval_of_independent_ones(load: Load) -> None:
    rows = [
        nescio.Estimate(
            "auroc",
            value,
            "1",
            100,
            "confidence",
            "",
            nescio.Recipe("x"),
            low,
            high,
            0.95,
        )
        for value, low, high in ((0.1, 0.07, 0.13), (0.3, 0.26, 0.34))
    ]
    mean = load("_consistency_analysis").mean_over_tasks
    found = mean("auroc", {"one": rows[0], "other": rows[1]})
    assert found.value == pytest.approx(0.2)
    assert number(found.high) - 0.2 == pytest.approx(0.025)  # root(.03² + .04²) / 2
    assert found.n == 200


def test_a_model_that_is_known_is_asked_and_the_run_goes_on(
    load: Load, tmp_path: Path
) -> None:
    sampling = load("_consistency_sampling")
    model = nescio.load("table:topics")
    layout = Layout(before="", after="")
    task = Task(
        "next", (Question("1", "a", ("b",)), Question("2", "b", ("a",))), layout=layout
    )
    how = Decoding(max_tokens=1)
    heard: list[str] = []
    sampler = sampling.Sampler("table", model, 200, tmp_path, heard.append)
    first = sampler.samples("next, samples", task, how)
    assert [len(replies) for replies in first] == [200, 200]
    assert heard[-1].endswith("400 of 400")
    greedy = sampler.greedy(
        "next, greedy", task, sampling.Candidate(task, how, (0,), 2)
    )
    for replies, answer in zip(first, greedy.answers, strict=True):
        p = exp(sum(answer.reply.logp))
        share = sum(one.text == answer.reply.text for one in replies) / 200
        assert share == pytest.approx(p, abs=4.5 * (p * (1 - p) / 200) ** 0.5)
    (path,) = tmp_path.glob("*samples*")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert json.loads(lines[0])["n"] == 200
    path.write_text("".join(lines[:120]), encoding="utf-8")
    heard.clear()
    assert sampler.samples("next, samples", task, how) == first
    assert heard
    assert len(path.read_text(encoding="utf-8").splitlines()) == 401  # none is twice


def test_questions_are_dealt_without_a_cluster_on_two_sides(load: Load) -> None:
    questions = tuple(
        Question(str(row), f"Which {row}?", ("a",), None, None, f"story {row % 31}")
        for row in range(310)
    )
    parts = load("_consistency_sampling").dealt(Task("stories", questions), 100)
    stories = [{question.cluster for question in part} for part in parts]
    assert [len(part) for part in parts] == [10, 40, 100]
    assert not stories[0] & stories[1]
    assert not (stories[0] | stories[1]) & stories[2]
