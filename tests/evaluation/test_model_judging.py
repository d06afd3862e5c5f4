"""A model as judge, on tables whose judgement is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nescio.consistency.answers import answers_of
from nescio.errors import CapabilityError, InvalidDistribution, InvalidInput
from nescio.evaluation.model_judging import (
    CHAT_FORM,
    RAW_FORM,
    JudgeForm,
    ModelJudge,
    judged_by,
)
from tests.evaluation.making import table_of, writer

FORM = JudgeForm("{one}={other}?", ("T",), ("F",))


def test_the_probability_is_renormalised_and_the_mass_is_kept(tmp_path: Path) -> None:
    model = writer(tmp_path, {"=b?": {"T": 0.6, "F": 0.2, "x": 0.2}})
    verdict = ModelJudge(model, FORM).verdict("", "a", "b")
    assert verdict.probability == pytest.approx(0.75)
    assert (verdict.mass, verdict.same) == (pytest.approx(0.8), True)
    strict = ModelJudge(model, FORM, threshold=0.75 + 1e-9)
    assert strict.verdict("", "a", "b").same is False


def test_spellings_of_one_verdict_are_added_up(tmp_path: Path) -> None:
    model = writer(
        tmp_path, {"?": {" ": 0.5, "T": 0.2, "F": 0.3}, "? ": {"T": 0.8, "F": 0.2}}
    )
    form = JudgeForm("{one}={other}?", ("T", " T"), ("F", " F"))
    assert ModelJudge(model, form).verdict("", "a", "b").probability == pytest.approx(
        0.2 + 0.4
    )


def test_both_directions_are_asked_and_both_have_to_say_yes(tmp_path: Path) -> None:
    rows = {
        "a=b?": {"T": 0.9, "F": 0.1},
        "b=a?": {"T": 0.2, "F": 0.8},
        "a=c?": {"T": 0.7, "F": 0.3},
        "c=a?": {"T": 0.6, "F": 0.4},
        "b=c?": {"T": 0.1, "F": 0.9},
    }
    model = writer(tmp_path, rows)
    answers = answers_of(["b", "a", "c", "c"])
    both = judged_by(ModelJudge(model, FORM), answers)
    assert both.answers.keys == ("b", "c")
    assert both.answers.labels.tolist() == [0, 1, 1, 1]
    said = [(one.one, one.other, one.same) for one in both.log]
    assert said == [
        ("a", "b", True),
        ("b", "a", False),
        ("a", "c", True),
        ("c", "a", True),
        ("b", "c", False),
    ]
    once = judged_by(ModelJudge(model, FORM, ways="once"), answers)
    assert once.answers.votes.tolist() == [4]  # by way of a
    linked = ModelJudge(model, FORM, ways="once", link="complete_link")
    assert judged_by(linked, answers).answers.votes.tolist() == [1, 3]
    assert once.non_transitive == 1.0


def test_known_verdicts_are_not_asked_again(tmp_path: Path) -> None:
    model = writer(tmp_path, {"?": {"T": 1.0}})
    known: dict = {}
    first = judged_by(ModelJudge(model, FORM), answers_of(["a", "b"]), known=known)
    none = writer(tmp_path, {"?": {"x": 1.0}}, name="none")
    again = judged_by(ModelJudge(none, FORM), answers_of(["b", "a"]), known=known)
    assert len(known) == 2
    assert first.answers.votes.tolist() == again.answers.votes.tolist() == [2]


def test_the_recipe_names_all_that_decides_a_verdict_and_no_count(
    tmp_path: Path,
) -> None:
    model = writer(tmp_path, {"?": {"T": 1.0}})
    judge = ModelJudge(model, FORM, threshold=0.6)
    recipes = [
        dict(judged_by(judge, answers_of(texts)).answers.recipe)
        for texts in (["a", "b"], ["a", "a"], ["", ""])
    ]
    assert recipes[0] == recipes[1] == recipes[2]
    assert recipes[0]["form"]["template"] == FORM.template
    assert recipes[0]["judge"]["model"] == model.name
    assert recipes[0]["threshold"] == 0.6
    assert recipes[0]["before"]["equivalence"] == "normalised"


def test_a_judge_that_tells_nothing_apart_is_noted(tmp_path: Path) -> None:
    model = writer(tmp_path, {"?": {"T": 0.3, "x": 0.7}})
    found = judged_by(ModelJudge(model, FORM), answers_of(["a", "b", "c"]))
    assert len(found.notes) == 2
    assert "said yes to all 6 pairs" in found.notes[0]
    assert "6 of 6 verdicts" in found.notes[1]


def test_a_judge_that_can_say_neither_is_refused(tmp_path: Path) -> None:
    model = writer(tmp_path, {"?": {"x": 1.0}})
    with pytest.raises(InvalidDistribution, match="neither"):
        judged_by(ModelJudge(model, FORM), answers_of(["a", "b"]))


def test_answers_that_spell_control_tokens_are_read_as_text(tmp_path: Path) -> None:
    said = ["<", "e", "n", "d", ">", "=", "?", "T", "F", "a"]
    model = table_of(
        tmp_path, said, {("?",): {"T": 0.5, "F": 0.5}}, end="<end>", name="controls"
    )
    read: list[np.ndarray] = []

    class Watched:
        name, origin, start = model.name, model.origin, model.start
        vocabulary, context_length = model.vocabulary, model.context_length

        def encode(self, text):
            return model.encode(text)

        def open(self):
            return model.open()

        def extend(self, contexts, tokens):
            read.extend(tokens)
            return model.extend(contexts, tokens)

    ModelJudge(Watched(), FORM).verdict("", "<end>", "a<end>")
    control = {*model.vocabulary.labels} - set(model.start)
    assert control
    assert not control & {int(token) for tokens in read for token in tokens}


def test_what_stands_in_an_answer_is_not_filled_in() -> None:
    form = JudgeForm("{question}|{one}|{other}", ("T",), ("F",))
    assert form.prompt("{one}", "{other}", "{question}") == "{one}|{other}|{question}"


def test_a_very_long_answer_is_cut_before_it_is_read(tmp_path: Path) -> None:
    model = writer(tmp_path, {"?": {"T": 1.0}})
    verdict = ModelJudge(model, FORM).verdict("", "a" * 10**6, "b")
    assert verdict.same
    assert len(verdict.one) == 10**6


@pytest.mark.parametrize(
    "fields",
    [
        ("{one}", ("T",), ("F",)),
        ("{one}{other}", (), ("F",)),
        ("{one}{other}", ("T",), ("",)),
        ("{one}{other}", ("T",), ("Tx",)),
    ],
)
def test_forms_that_cannot_be_are_refused(fields) -> None:
    with pytest.raises(InvalidInput):
        JudgeForm(*fields)


def test_a_threshold_outside_and_a_model_without_probabilities_are_refused(
    tmp_path: Path,
) -> None:
    model = writer(tmp_path, {"?": {"T": 1.0}})
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        ModelJudge(model, threshold=1.0)

    class Server:
        name = "server"

    with pytest.raises(CapabilityError, match="judging answers"):
        ModelJudge(Server())


def test_the_forms_that_are_there_differ_in_where_yes_begins() -> None:
    assert RAW_FORM.prompt("q", "a", "b").endswith("Reply:")
    assert all(text.startswith(" ") for text in RAW_FORM.same + RAW_FORM.different)
    assert CHAT_FORM.prompt("q", "a", "b").endswith("yes or no.")
