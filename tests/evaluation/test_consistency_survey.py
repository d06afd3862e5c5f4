"""A survey of samples: what it finds is what the measures themselves find."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nescio.calibration.paired import paired_difference
from nescio.calibration.ranking import auroc
from nescio.consistency.adaptive import AdaptiveRule
from nescio.consistency.agreement import CONFIDENCES, agreement
from nescio.consistency.answers import Answers, Sorting, answers_of
from nescio.consistency.dataset import confidences_of, outcomes_of, uncertainties_of
from nescio.consistency.graph import GRAPH_MEASURES, degree_uncertainty, of_graph
from nescio.consistency.lexical import LEXICAL_MEASURES
from nescio.consistency.likelihood_measures import LIKELIHOOD_MEASURES
from nescio.consistency.likelihood_weighted import cocoa, of_likelihoods
from nescio.consistency.semantic_entropy import semantic_entropy
from nescio.consistency.similarity import similarities_of_all
from nescio.consistency.token_level import deep_confidence
from nescio.consistency.uncertainties import UNCERTAINTIES
from nescio.errors import InvalidInput, NotEnoughData
from nescio.evaluation.agreement_probability import fit_calibrator
from nescio.evaluation.consistency_measures import MEASURES, kind_of_measure
from nescio.evaluation.consistency_sets import LONGEST
from nescio.evaluation.consistency_survey import (
    Asked,
    Gold,
    survey_question,
    survey_questions,
)
from nescio.evaluation.meter import Meter
from nescio.trace import Prompt, Sample, Samples
from tests.consistency.numbers import number
from tests.traces import make_candidates, make_trace

FEW = Asked(resamples=200, details=0)
MODEL_FREE = {
    *CONFIDENCES,
    *(name for name, one in UNCERTAINTIES.items() if not one.needs),
    *GRAPH_MEASURES,
    *LEXICAL_MEASURES,
}


def drawn(n: int = 40, samples: int = 8, seed: int = 0) -> tuple[list[Answers], dict]:
    """Questions whose right answer "a" is drawn with a probability of its own."""
    rng = np.random.default_rng(seed)
    questions, gold = [], {}
    for place, share in enumerate(rng.beta(1.2, 0.8, n)):
        words = np.where(rng.random(samples) < share, "a", rng.choice(list("bcd")))
        questions.append(answers_of([str(word) for word in words], id=f"q{place}"))
        gold[f"q{place}"] = ("a",)
    return questions, gold


def with_logp(
    texts: Sequence[str], logp: Sequence[float], tokens: Sequence[int], id: str = ""
) -> Answers:
    rows = zip(texts, logp, tokens, strict=True)
    samples = [Sample(t, total_logp=p, token_count=k) for t, p, k in rows]
    return answers_of(Samples(Prompt(text="?"), tuple(samples)), id=id)


def test_without_probabilities_every_model_free_measure_is_taken():
    found = survey_question(answers_of(["12", "12", "13", "it is 12"]), FEW)
    assert set(found.estimates) == MODEL_FREE
    for name, estimate in found.estimates.items():
        assert estimate.unit == MEASURES[name].unit
        assert number(estimate.low) <= number(estimate.value) <= number(estimate.high)


def test_its_estimates_are_those_of_the_functions():
    samples = answers_of(["12", "12", "13", "twelve", ""])
    found = survey_question(samples, FEW).estimates
    limits = {"level": 0.95, "resamples": 200, "seed": 0}
    assert found["agreement"] == agreement(samples, **limits)
    assert found["semantic_entropy_discrete"] == semantic_entropy(samples, **limits)
    assert found["degree_uncertainty"] == degree_uncertainty(samples, **limits)


def test_with_probabilities_those_of_likelihoods_are_taken_too():
    samples = with_logp(
        ["12", "13", "12", "12 !"], [-0.5, -1.5, -0.5, -3.0], [2, 2, 2, 3]
    )
    found = survey_question(samples, FEW).estimates
    assert set(found) == {*MODEL_FREE, *UNCERTAINTIES, *LIKELIHOOD_MEASURES}
    assert found["cocoa"].value == cocoa(samples).value
    assert found["answer_log_probability"].value == -0.5
    partly = replace(samples, token_count=None)
    lacking = set(found) - set(survey_question(partly, FEW).estimates)
    assert "answer_perplexity" in lacking
    assert "cocoa" not in lacking


def test_with_traces_those_of_tokens_are_taken_and_the_unit_is_the_token():
    candidates = make_candidates([[(b"12", -0.1), (b"13", -2.5)]])
    one = make_trace(["12"], -0.1, candidates=candidates, entropy=0.3)
    other = make_trace(["13"], -2.5, candidates=candidates, entropy=0.3)
    answers = (Sample("12", trace=one), Sample("13", trace=other, draw=1))
    traces = Samples(Prompt(text="?"), answers)
    how = replace(FEW, vocabulary_size=100)
    found = survey_question(answers_of(traces), how, traces=traces)
    assert found.estimates["deep_confidence"].value == deep_confidence(one).value
    assert found.estimates["self_certainty"].kind == "bound"
    assert found.divergence.unit == "token"
    assert number(found.divergence.steps[0].model_entropy) == pytest.approx(0.3)
    with pytest.raises(InvalidInput, match="other samples"):
        survey_question(answers_of(["12", "14"]), how, traces=traces)


def test_sets_stand_by_votes_and_say_which_is_right():
    samples = answers_of(["b", "a", "", "a", "c", "a", "b"])
    found = survey_question(samples, FEW, gold=["x", "C"])
    rows = [(s.label, s.votes, s.representative, s.right) for s in found.sets]
    assert rows == [
        (1, 3, 1, False),
        (0, 2, 0, False),
        (2, 1, 4, True),
        (-1, 1, 2, False),
    ]
    assert found.right is False
    assert found.gold == ("x", "C")
    shares = [number(one.share.value) for one in found.sets]
    assert shares == pytest.approx([3 / 7, 2 / 7, 1 / 7, 1 / 7])
    assert all(number(s.share.low) < number(s.share.high) for s in found.sets)
    assert survey_question(samples, FEW).right is None


def test_the_representative_is_most_like_the_others_of_its_set():
    texts = ["so it must be twelve", "it is twelve now", "it is twelve", "nine"]
    sorting = Sorting(lambda text: text.split()[-1][:2], None, {"answer": "ending"})
    sorting = Sorting(lambda t: "n" if t == "nine" else "t", None, {"answer": "first"})
    found = survey_question(answers_of(texts, sorting), FEW)
    assert found.sets[0].representative == 2


def test_answers_that_are_alike_are_joined_and_any_of_them_may_be_right():
    samples = answers_of(
        ["the city of Paris"] * 3 + ["city of Paris"] * 2 + ["Rome"] * 4
    )
    how = replace(FEW, threshold=0.8)
    found = survey_question(samples, how, gold=["city of paris"])
    assert [one.votes for one in found.sets] == [5, 4]
    assert found.answers.keys == ("the city of paris", "rome")
    assert found.right is True
    assert found.triples.total == 1
    assert found.answers.recipe["joined"]["threshold"] == 0.8
    assert survey_question(samples, FEW, gold=["city of paris"]).right is False


def test_a_chain_is_one_set_when_connected_and_not_by_complete_link():
    samples = answers_of(["a b c d", "b c d e", "c d e f"])
    chain = replace(FEW, threshold=0.7)
    assert len(survey_question(samples, chain).sets) == 1
    found = survey_question(samples, replace(chain, link="complete_link"))
    assert len(found.sets) == 2
    assert found.triples.broken == 1


def test_where_no_answer_is_valid_nothing_is_certain():
    void = with_logp(["", " ", ""], [-0.1, -0.1, -0.1], [1, 1, 1])
    found = survey_question(void, FEW, gold=["a"])
    assert found.estimates["agreement"].value == 0.0
    assert number(found.estimates["semantic_entropy_discrete"].value) == pytest.approx(
        np.log(3)
    )
    assert not set(LIKELIHOOD_MEASURES) & set(found.estimates)
    assert found.right is False
    assert [one.label for one in found.sets] == [-1]
    assert any("no sample has a valid answer" in note for note in found.notes)


def test_both_conventions_can_be_had():
    samples = answers_of(["a"] * 20 + [""] * 20)
    safe = survey_question(samples, FEW).estimates["consistency_entropy"]
    paper = replace(FEW, convention="paper")
    other = survey_question(samples, paper).estimates["consistency_entropy"]
    assert number(safe.value) == pytest.approx(0.2803, abs=1e-4)
    assert other.value == 1.0


def test_one_sample_is_refused_by_name():
    with pytest.raises(NotEnoughData, match="q7 has one sample"):
        survey_question(answers_of(["a"], id="q7"))
    questions, _ = drawn(5)
    with pytest.raises(NotEnoughData, match="lone has one sample"):
        survey_questions([*questions, answers_of(["a"], id="lone")], FEW)


def test_further_similarities_are_shown_and_measured_by_their_name():
    how = replace(FEW, similarities=("jaccard", "edit"))
    samples = answers_of(["the cat sat", "the cat ran", "a cat sat"])
    found = survey_question(samples, how)
    assert list(found.similarities)[:2] == ["jaccard", "edit"]
    edit = degree_uncertainty(samples, similarity="edit").value
    assert found.estimates["degree_uncertainty@edit"].value == edit
    assert "vendi_score@edit" not in found.estimates  # no kernel
    assert kind_of_measure("degree_uncertainty@edit").rises_with == "uncertainty"


def test_a_text_of_ten_megabytes_is_compared_by_its_beginning():
    samples = answers_of(["word " * 2_000_000, "word " * 2_000_000 + "x", "word"])
    found = survey_question(samples, replace(FEW, measures=("degree_uncertainty",)))
    assert any(f"{LONGEST:,} characters" in note for note in found.notes)
    assert len(found.answers.texts[0]) == 10_000_000
    assert found.sets[0].votes == 1


def test_a_question_keeps_where_adaptive_sampling_stops():
    how = replace(FEW, rule=AdaptiveRule(0.95, most=8))
    found = survey_question(answers_of(["a"] * 8), how)
    assert found.stop.used == 4


# Many questions


def test_columns_are_those_of_the_families():
    questions, _ = drawn(30)
    found = survey_questions(questions, FEW)
    assert set(found.columns) == MODEL_FREE
    expected = confidences_of(questions) | uncertainties_of(questions)
    alike = similarities_of_all(questions, by="rouge_l")
    expected["eccentricity"] = of_graph("eccentricity", alike)
    for name, column in expected.items():
        assert found.columns[name] == pytest.approx(column), name
    assert found.measures == {}
    assert found.accuracy is None
    assert number(found.means["agreement"].value) == pytest.approx(
        found.columns["agreement"].mean()
    )
    assert found.means["kernel_language_entropy"].unit == "nats"


def test_columns_of_likelihoods_are_those_of_the_functions():
    rng = np.random.default_rng(1)
    questions = [
        with_logp(
            [f"w{w}" for w in rng.integers(0, 3, 6)],
            (-rng.random(6) - 0.1).tolist(),
            [2] * 6,
            id=f"q{k}",
        )
        for k in range(8)
    ]
    found = survey_questions(questions, FEW)
    for name in LIKELIHOOD_MEASURES:
        assert found.columns[name] == pytest.approx(of_likelihoods(name, questions))


def test_gold_judges_every_measure_and_compares_it_with_the_reference():
    questions, gold = drawn(60)
    found = survey_questions(questions, FEW, gold=gold)
    outcomes = outcomes_of(questions, gold, same=lambda one, other: one == other)
    assert found.right.tolist() == outcomes.correct.tolist()
    assert number(found.accuracy.value) == pytest.approx(outcomes.correct.mean())
    assert set(found.measures) == MODEL_FREE
    one = found.measures["agreement"]
    assert one.estimates["auroc"].value == auroc(outcomes).value
    assert one.difference is None
    assert one.estimates["expected_calibration_error"].null_level is not None
    assert one.diagram is not None
    entropy = found.measures["semantic_entropy_discrete"]
    turned = np.exp(-found.columns["semantic_entropy_discrete"]).round(12)
    other = replace(outcomes, confidence=turned)
    assert entropy.estimates["auroc"].value == pytest.approx(number(auroc(other).value))
    expected = paired_difference("auroc", other, outcomes)
    assert number(entropy.difference.value) == pytest.approx(number(expected.value))
    assert number(entropy.difference.p_value) == pytest.approx(
        number(expected.p_value), abs=1e-6
    )
    assert "brier_score" not in entropy.estimates
    assert entropy.diagram is None


def test_an_uncertainty_is_turned_round_before_it_is_ranked():
    questions = [answers_of(["a"] * 4, id=f"sure{k}") for k in range(6)]
    questions += [answers_of(["b", "c", "d", "e"], id=f"unsure{k}") for k in range(6)]
    gold = {one.id: ("a",) for one in questions}
    found = survey_questions(questions, FEW, gold=gold)
    for name in ("number_of_sets", "eigenvalue_uncertainty", "lexical_similarity"):
        assert found.measures[name].estimates["auroc"].value == 1.0, name
        assert found.measures[name].coverage.risk[0] == 0.0


def test_the_curve_the_votes_and_the_calibration_are_there_with_gold():
    questions, gold = drawn(40)
    found = survey_questions(questions, FEW, gold=gold)
    assert [point.samples for point in found.curve] == [2, 3, 5, 8]
    assert found.curve[-1].estimates["accuracy"].value == found.accuracy.value
    assert sum(row.questions for row in found.votes) == 40
    before = found.calibrated.before["brier_score"].value
    assert before == found.measures["agreement"].estimates["brier_score"].value
    assert "differences" in vars(found.calibrated)


def test_what_gold_does_not_allow_is_left_out_and_said():
    questions, gold = drawn(12)
    none = survey_questions(questions, FEW, gold=dict.fromkeys(gold, ("zzz",)))
    assert none.accuracy.value == 0.0
    assert "auroc" not in none.measures["agreement"].estimates
    assert none.calibrated is None
    assert any("all 12 leading answers are wrong" in note for note in none.notes)
    uneven = [*questions, answers_of(["a", "b"], id="short")]
    found = survey_questions(uneven, FEW, gold={**gold, "short": ("a",)})
    assert found.curve == ()
    assert any("number of samples" in note for note in found.notes)


def test_gold_that_is_missing_for_some_is_refused_before_anything_is_measured():
    questions, gold = drawn(6)
    del gold["q3"]
    with pytest.raises(InvalidInput, match="missing for 1 of 6 questions, first 'q3'"):
        survey_questions(questions, FEW, gold=gold)
    with pytest.raises(InvalidInput, match="no gold answer, or an empty one"):
        survey_questions(questions, FEW, gold={**gold, "q3": (" ",)})


def test_answers_sorted_another_way_need_their_equivalence():
    sorting = Sorting(None, str.upper, {"equivalence": "upper"})
    questions = [answers_of(["a", "A", "b"], sorting, id=f"q{k}") for k in range(3)]
    gold = {one.id: ("a",) for one in questions}
    with pytest.raises(InvalidInput, match="same equivalence"):
        survey_questions(questions, FEW, gold=gold)
    same = Gold(gold, lambda key, right: key == right.upper())
    assert survey_questions(questions, FEW, gold=same).right.all()


def test_questions_without_a_valid_answer_are_the_least_sure_in_every_column():
    rng = np.random.default_rng(2)
    questions = [
        with_logp(
            [f"w{w}" for w in rng.integers(0, 4, 5)],
            (-rng.random(5) * 3 - 0.5).tolist(),
            [2] * 5,
            id=f"q{k}",
        )
        for k in range(10)
    ]
    void = with_logp([""] * 5, [-0.001] * 5, [1] * 5, id="void")
    found = survey_questions([*questions, void], FEW)
    assert set(LIKELIHOOD_MEASURES) <= set(found.columns)
    for name, column in found.columns.items():
        sure = MEASURES[name].rises_with == "confidence"
        worst = column.min() if sure else column.max()
        assert column[-1] == pytest.approx(worst), name
    assert any("1 of 11 questions have no valid answer" in n for n in found.notes)


def test_the_order_of_questions_and_samples_does_not_matter():
    questions, gold = drawn(20)
    turned = [
        answers_of(list(one.texts)[::-1], id=one.id) for one in reversed(questions)
    ]
    first = survey_questions(questions, FEW)
    again = survey_questions(turned, FEW)
    for name, column in first.columns.items():
        assert again.columns[name][::-1] == pytest.approx(column, abs=1e-9), name
    del gold


def test_details_are_those_asked_for_or_the_doubtful_and_the_surely_wrong():
    questions, gold = drawn(30)
    named = survey_questions(questions, replace(FEW, details=("q3", "q1")))
    assert list(named.details) == ["q3", "q1"]
    assert named.details["q3"].answers.texts == questions[3].texts
    found = survey_questions(questions, replace(FEW, details=4), gold=gold)
    assert len(found.details) == 4
    sure = found.columns["agreement"]
    assert found.right is not None
    wrong = np.flatnonzero(~found.right)
    surest = wrong[np.argsort(-sure[wrong], kind="stable")][:2]
    assert list(found.details)[:2] == [f"q{place}" for place in surest]
    assert all(one.right is not None for one in found.details.values())
    with pytest.raises(InvalidInput, match="no question 'nobody'"):
        survey_questions(questions, replace(FEW, details=("nobody",)))


def test_a_calibrator_gives_each_question_a_probability():
    questions, gold = drawn(30)
    meter = Meter.of(questions)
    right = survey_questions(questions, FEW, gold=gold).right
    rows = meter.outcomes(questions, right.tolist())
    fitted = fit_calibrator(meter, rows, level=0.5, resamples=20)
    found = survey_questions(questions, FEW, calibrator=fitted)
    assert found.probabilities == pytest.approx(fitted.probabilities(questions)[0])
    one = survey_question(questions[0], FEW, calibrator=fitted)
    assert one.probability == fitted.probability(questions[0])
    with pytest.raises(InvalidInput, match="samples"):
        survey_question(answers_of(["a", "b"]), FEW, calibrator=fitted)


def test_groups_clusters_and_adaptive_sampling_are_counted():
    questions, gold = drawn(24)
    ids = [one.id for one in questions]
    how = replace(
        FEW,
        groups={name: "odd" if k % 2 else "even" for k, name in enumerate(ids)},
        clusters={name: f"c{k // 2}" for k, name in enumerate(ids)},
        rule=AdaptiveRule(0.95, most=8),
    )
    found = survey_questions(questions, how, gold=gold)
    assert list(found.groups) == ["even", "odd"]
    assert number(found.groups["even"]["accuracy"].value) == pytest.approx(
        found.right[::2].mean()
    )
    assert found.means["agreement"].n_clusters == 12
    assert found.accuracy.n_clusters == 12
    assert found.adaptive.used.max() <= 8


def test_progress_reaches_its_end_and_never_falls():
    questions, gold = drawn(20)
    told: list[tuple[int, int]] = []
    survey_questions(
        questions, FEW, gold=gold, progress=lambda *step: told.append(step)
    )
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == list(range(1, len(told) + 1))


def test_only_measures_that_were_asked_for_are_taken():
    questions, gold = drawn(20)
    how = replace(
        FEW, measures=("number_of_sets", "agreement"), reference="number_of_sets"
    )
    found = survey_questions(questions, how, gold=gold)
    assert list(found.columns) == ["number_of_sets", "agreement"]
    assert found.measures["number_of_sets"].difference is None
    assert found.calibrated is None
    with pytest.raises(InvalidInput, match="unknown measure"):
        survey_questions(questions, replace(FEW, measures=("certainty",)))
    with pytest.raises(InvalidInput, match="needs"):
        survey_question(questions[0], replace(FEW, measures=("cocoa",)))
    with pytest.raises(InvalidInput, match="reference 'agreement'"):
        survey_questions(questions, replace(FEW, measures=("eccentricity",)))


def test_what_is_asked_for_is_checked_and_is_json():
    assert json.loads(json.dumps(FEW.settings)) == FEW.settings
    for wrong, words in (
        ({"similarities": ("vibes",)}, "similarity"),
        ({"similarities": ("edit", "edit")}, "twice"),
        ({"similarities": ()}, "no similarity"),
        ({"threshold": 0.0}, "threshold"),
        ({"level": 1.5}, "level"),
        ({"measures": ()}, "no measures"),
        ({"recalibrator": "magic"}, "recalibrator"),
        ({"details": -1}, "details"),
    ):
        with pytest.raises(InvalidInput, match=words):
            Asked(**wrong)


def test_ids_have_to_be_there_and_differ():
    questions, _ = drawn(4)
    with pytest.raises(InvalidInput, match="no id"):
        survey_questions([*questions, answers_of(["a", "b"])], FEW)
    with pytest.raises(InvalidInput, match="twice"):
        survey_questions([*questions, questions[0]], FEW)
    with pytest.raises(InvalidInput, match="no questions"):
        survey_questions([], FEW)


def test_a_text_of_invisible_characters_is_no_answer_under_any_equivalence():
    upper = Sorting(None, str.upper, {"equivalence": "upper"})
    for sorting in (None, upper):
        found = answers_of(["\u200b", "\u200b\u200d", " ", "é"], sorting)
        assert found.invalid == 3
        assert found.leader == 0
