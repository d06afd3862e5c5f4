"""A question asked many times: the samples, the answer, how sure, and going on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.cli.consistency_running import sorting_of as by_specification
from nescio.consistency.adaptive import AdaptiveRule, stopping_point
from nescio.consistency.adaptive_sampling import AdaptiveDraws
from nescio.consistency.answers import Sorting, answers_of
from nescio.consistency.minimum_bayes_risk import minimum_bayes_risk
from nescio.decoding import Decoding, Draws
from nescio.errors import EndpointError, InvalidInput, NotEnoughData, SchemaError
from nescio.evaluation.agreement_probability import fit_calibrator
from nescio.evaluation.asking import HowRead, ask, read_samples
from nescio.evaluation.asking_many import ask_all
from nescio.evaluation.choosing import chosen_answer
from nescio.evaluation.consistency_asked import Asked as Survey
from nescio.evaluation.drawn_answers import Drawing, drawn_answers
from nescio.evaluation.embedded import EmbeddedSimilarity
from nescio.evaluation.meter import Meter
from nescio.evaluation.model_judging import JudgeForm, ModelJudge
from nescio.kernel import Sampling
from nescio.responses import Response, Source
from nescio.trace import Origin, Prompt, Sample, Samples
from tests.consistency.numbers import number
from tests.evaluation.making import table_of

ONE = Decoding(1)


FAST = Survey(measures=("agreement",), resamples=200)
"""Not every measure has to be taken to know what is asked."""


def read_by(**fields: Any) -> HowRead:
    """What is made of samples, without every measure."""
    return HowRead(survey=FAST, **fields)


def sorting_of(extract: str, same: str | None = None) -> Sorting:
    """As the command line sorts samples."""
    return by_specification(extract, same)[0]


@pytest.fixture
def letters(tmp_path: Path) -> Any:
    """A model of three answers that depend on the last token it was asked."""
    return table_of(
        tmp_path,
        ["a", "b", "c", "?"],
        {
            ("?",): {"a": 0.6, "b": 0.25, "c": 0.15},
            ("c", "?"): {"a": 0.1, "b": 0.1, "c": 0.8},
        },
    )


class Counted:
    """A model that says how many steps were asked of it, and may fail."""

    def __init__(self, model: Any) -> None:
        self._model, self.steps = model, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def origin(self) -> Origin:
        return self._model.origin

    @property
    def vocabulary(self) -> Any:
        return self._model.vocabulary

    @property
    def context_length(self) -> Any:
        return self._model.context_length

    @property
    def start(self) -> Any:
        return self._model.start

    def encode(self, text: bytes) -> Any:
        return self._model.encode(text)

    def open(self) -> Any:
        return self._model.open()

    def extend(self, contexts: Any, tokens: Any) -> Any:
        self.steps += len(contexts)
        return self._model.extend(contexts, tokens)


def written(found: Any) -> str:
    """All of the samples, as bytes one can compare."""
    return json.dumps(found.samples.to_dict(), sort_keys=True)


def calibrator_of(samples: int, recipe: dict[str, Any] | None = None) -> Any:
    """A calibrator for so many samples, fitted to answers that are often right."""
    sorting = Sorting() if recipe is None else Sorting(recipe=recipe)
    rng = np.random.default_rng(0)
    asked = [
        answers_of(
            ["x"] * votes + [f"y{i}" for i in range(samples - votes)],
            sorting,
            id=f"{votes}.{i}",
        )
        for votes in range(1, samples + 1)
        for i in range(20)
    ]
    meter = Meter.of(asked)
    right = rng.random(len(asked)) < meter.confidences(asked)
    outcomes = meter.outcomes(asked, right.tolist())
    return fit_calibrator(meter, outcomes, recalibrator="histogram")


def test_the_samples_and_their_agreement_are_those_of_sample(letters):
    found = ask(letters, "?", draws=Draws(30, 7), decoding=ONE)
    whole = nescio.sample(letters, "?", n=30, seed=7, decoding=ONE)
    assert found.samples.texts == whole.texts
    assert found.confidence.value == nescio.agreement(whole).value
    assert (found.confidence.low, found.confidence.high) == (
        nescio.agreement(whole).low,
        nescio.agreement(whole).high,
    )
    votes = {text: whole.texts.count(text) for text in whole.texts}
    assert found.answer == max(votes, key=votes.__getitem__)
    assert not found.is_probability
    assert any("no probability of being right" in note for note in found.notes)


def test_adaptive_is_the_rule_applied_to_the_whole_run(letters):
    for seed in range(8):
        rule = AdaptiveRule(most=30)
        draws = AdaptiveDraws(rule, seed=seed)
        found = ask(letters, "?", draws=draws, decoding=ONE, read=read_by())
        whole = nescio.sample(letters, "?", n=30, seed=seed, decoding=ONE)
        stop = stopping_point(answers_of(whole).labels, rule)
        assert found.found.stop == stop
        assert found.samples.texts == whole.texts[: stop.used]


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(letters, tmp_path, adaptive):
    draws: Any = Draws(20, 3)
    if adaptive:
        draws = AdaptiveDraws(AdaptiveRule(0.999, 20), seed=3)
    options: dict[str, Any] = {"draws": draws, "decoding": Decoding(3, batch=2)}
    options["read"] = read_by()
    whole = ask(letters, "?", **options)
    journal = tmp_path / "kept.jsonl"
    seen = 0

    def dies(_number: int, _sample: Sample) -> None:
        nonlocal seen
        seen += 1
        if seen == 6:
            raise KeyboardInterrupt

    options["journal"] = journal
    with pytest.raises(KeyboardInterrupt):
        ask(letters, "?", on_sample=dies, **options)
    torn = journal.read_bytes()
    assert torn.count(b"\n") == 7  # what was asked, and six answers
    journal.write_bytes(torn + b'[19, {"text": "half a li')
    told: list[int] = []
    again = ask(letters, "?", on_sample=lambda _, one: told.append(one.draw), **options)
    assert written(again) == written(whole)
    assert again.notes == whole.notes
    assert len(told) == len(set(told)) >= len(whole.samples)


def test_what_the_journal_holds_is_not_drawn_again(letters, tmp_path):
    journal = tmp_path / "kept.jsonl"
    options: dict[str, Any] = {"decoding": ONE, "journal": journal}
    options["read"] = read_by()
    first = ask(letters, "?", draws=8, **options)
    model = Counted(letters)
    again = ask(model, "?", draws=8, **options)
    assert (model.steps, written(again)) == (0, written(first))
    more = ask(model, "?", draws=11, **options)
    assert more.samples.texts[:8] == first.samples.texts
    assert len(journal.read_text().splitlines()) == 12
    fewer = ask(model, "?", draws=5, **options)
    assert fewer.samples.texts == first.samples.texts[:5]


@pytest.mark.parametrize(
    "changed",
    [
        {"draws": Draws(4, 1)},
        {"decoding": Decoding(2)},
        {"decoding": Decoding(1, Sampling(temperature=0.5))},
        {"chat": False},
        {"wordings": ("{question}",)},
    ],
)
def test_a_journal_of_other_settings_is_refused(letters, tmp_path, changed):
    options: dict[str, Any] = {"draws": Draws(4), "decoding": ONE, "read": read_by()}
    journal = tmp_path / "kept.jsonl"
    ask(letters, "c?", journal=journal, **options)
    if "wordings" in changed:  # the same prompts are the same question
        ask(letters, "c?", journal=journal, **options | changed)
        return
    with pytest.raises(InvalidInput, match="another model, other prompts"):
        ask(letters, "c?", journal=journal, **options | changed)


def test_a_journal_whose_draws_are_misplaced_is_refused(letters, tmp_path):
    journal = tmp_path / "kept.jsonl"
    ask(letters, "?", draws=2, decoding=ONE, read=read_by(), journal=journal)
    heading, first, _ = journal.read_text().splitlines()
    moved = json.dumps([5, json.loads(first)[1]])
    journal.write_text(f"{heading}\n{moved}\n")
    with pytest.raises(SchemaError, match="result 5 is draw 0"):
        ask(letters, "?", draws=2, decoding=ONE, read=read_by(), journal=journal)


class Server:
    """Answers text alone, by the seed of each question, in an order of its own."""

    name, answers_at_once = "server", 4

    def __init__(self, allowed: int = 10**9) -> None:
        self.allowed = allowed
        self.asked: list[str] = []

    def check(self, question: Any, drawing: Any) -> None: ...

    def answers(self, questions: Any, _: Any) -> Iterator[tuple[int, Response, Source]]:
        source = Source(self.origin)
        for place, question in reversed(list(enumerate(questions))):
            if self.allowed == 0:
                raise EndpointError("no more requests are allowed")
            self.allowed -= 1
            self.asked.append(question.prompt.text)
            yield place, Response(f"It is {question.seed % 3 // 2}."), source

    def streamed(self, question: Any, drawing: Any) -> Any: ...

    def scored(self, text: str, top: int) -> Any: ...

    @property
    def origin(self) -> Origin:
        return Origin("server", "0", "0", "endpoint", "unknown")


def test_a_source_of_text_that_dies_half_way_keeps_what_came(tmp_path):
    read = read_by(sorting=sorting_of("last-number", "number"))
    whole = ask(Server(), "how many?", draws=20, read=read)
    journal = tmp_path / "kept.jsonl"
    with pytest.raises(EndpointError, match="no more requests"):
        ask(Server(13), "how many?", draws=20, read=read, journal=journal)
    rest = Server()
    again = ask(rest, "how many?", draws=20, read=read, journal=journal)
    assert len(rest.asked) == 7
    assert written(again) == written(whole)
    assert whole.answer in ("0", "1")
    assert whole.found.answers.keys[whole.found.sets[0].label] in (
        "number 0",
        "number 1",
    )


def test_wordings_are_asked_one_as_often_as_the_other(letters):
    found = ask(
        letters,
        "?",
        draws=Draws(10, 2),
        wordings=["{question}", "c{question}"],
        decoding=ONE,
        read=read_by(),
    )
    assert len(found.samples) == 20
    variants = [sample.variant for sample in found.samples.answers]
    assert variants == ["{question}", "c{question}"] * 10
    assert [sample.draw for sample in found.samples.answers[:4]] == [0, 0, 1, 1]
    streamed = nescio.sample_stream(letters, ["?", "c?"], Draws(10, 2), decoding=ONE)
    expected = {(number, one.draw): one.text for number, one in streamed}
    got = {
        (variants[row] == "c{question}", sample.draw): sample.text
        for row, sample in enumerate(found.samples.answers)
    }
    assert got == expected
    assert found.wordings is not None
    assert found.wordings.within is not None
    assert number(found.wordings.within.value) > number(found.wordings.across.value)
    assert any("across wordings is no confidence" in note for note in found.notes)


def test_one_answer_of_each_of_several_wordings_will_do(letters):
    how = Decoding(1, Sampling(temperature=0))
    found = ask(
        letters,
        "?",
        draws=1,
        wordings=["{question}", "c{question}"],
        decoding=how,
        read=read_by(),
    )
    assert found.samples.texts == ("a", "c")
    assert found.wordings is not None
    assert (found.wordings.within, found.wordings.across.value) == (None, 0.0)


def test_the_user_s_last_message_is_worded_anew():
    from nescio.evaluation.wordings import worded

    said = Prompt.of(
        [
            {"role": "system", "content": "{question}"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "?"},
            {"role": "user", "content": "two {question}"},
        ]
    )
    turns = worded(said, "Say: {question}!").messages
    assert [turn.content for turn in turns] == [
        "{question}",
        "one",
        "?",
        "Say: two {question}!",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"draws": 1}, "agrees with nothing"),
        ({"draws": 0}, "at least one sample"),
        ({"prompt": " \n"}, "the question is empty"),
        ({"prompt": [{"role": "user", "content": ""}]}, "the question is empty"),
        ({"gold": ["a", " "]}, "a right answer is empty"),
        ({"gold": "a"}, "gold is one text"),
        ({"wordings": ["Say it."]}, r"no \{question\}"),
        ({"wordings": ["{question}", "{question}"]}, "stands twice"),
        ({"wordings": "{question}"}, "one text"),
        (
            {"decoding": Decoding(1, Sampling(temperature=0))},
            "every draw is the same answer",
        ),
        ({"decoding": Decoding(1, Sampling(top_k=1))}, "every draw is the same"),
        (
            {"draws": AdaptiveDraws(), "wordings": ["{question}", "a{question}"]},
            "would stop by itself",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_drawn(
    letters, options, words
):
    model = Counted(letters)
    given = {"prompt": "?", "decoding": ONE, **options}
    with pytest.raises(InvalidInput, match=words):
        ask(model, given.pop("prompt"), **given)
    assert model.steps == 0


def test_an_unknown_way_to_choose_is_refused():
    with pytest.raises(InvalidInput, match="mbr:edit"):
        HowRead(choose="mbr:bleu")


def test_a_calibrator_gives_the_probability_of_the_leading_answer(letters):
    calibrator = calibrator_of(12)
    read = read_by(calibrator=calibrator)
    found = ask(letters, "?", draws=12, decoding=ONE, read=read)
    expected = calibrator.probability(found.found.answers)
    assert found.is_probability
    assert found.confidence == expected
    assert found.confidence.name == "probability_right"
    assert not any("no probability" in note for note in found.notes)


@pytest.mark.parametrize(
    ("recipe", "draws", "words"),
    [
        (None, 12, "12 samples, not 6"),
        ({"answer": "last-number"}, 6, "was sorted by"),
        (None, AdaptiveDraws(), "ask 6 times"),
    ],
)
def test_a_calibrator_of_other_settings_is_refused_before_anything_is_drawn(
    letters, recipe, draws, words
):
    model, calibrator = Counted(letters), calibrator_of(6, recipe)
    with pytest.raises(InvalidInput, match=words):
        ask(model, "?", draws=draws, decoding=ONE, read=read_by(calibrator=calibrator))
    assert model.steps == 0


def test_without_any_valid_answer_nothing_is_sure(letters):
    sorting = sorting_of("last-number")
    calibrator = calibrator_of(6, dict(sorting.recipe))
    bare = ask(letters, "?", draws=6, decoding=ONE, read=read_by(sorting=sorting))
    assert (bare.answer, bare.confidence.value) == (None, 0.0)
    assert "nothing is sure" in " ".join(bare.notes)
    read = read_by(sorting=sorting, calibrator=calibrator)
    sure = ask(letters, "?", draws=6, decoding=ONE, read=read)
    assert (sure.answer, sure.confidence.value) == (None, 0.0)
    assert "no valid answer" in repr(sure)


def test_gold_is_compared_by_the_key_of_the_answers():
    texts = ["so 12", "12.0 it is", "about 13"]
    read = read_by(sorting=sorting_of("last-number", "number"))
    samples = Samples.of("7 + 5", texts)
    found = read_samples(samples, read, gold=["twelve"])
    assert (found.answer, found.found.right) == ("12", True)
    assert read_samples(samples, read, gold=["13"]).found.right is False


def test_the_answer_of_least_expected_loss_is_that_of_the_decoder():
    said = ["no", "no", "yes it is", "yes it was", "yes it has"]
    answers = answers_of(said)
    for way in ("edit", "ngram"):
        chosen = chosen_answer(answers, f"mbr:{way}")
        least = minimum_bayes_risk(answers, loss=way)
        assert chosen is not None
        assert (chosen.text, chosen.expected_loss) == (least.text, least.expected_loss)
    found = read_samples(Samples.of("?", said), read_by(choose="mbr:edit"))
    assert found.answer == "yes it was"
    assert found.confidence.value == pytest.approx(0.2)  # its own share, not the lead's
    sure = read_by(choose="mbr:edit", calibrator=calibrator_of(5))
    other = read_samples(Samples.of("?", said), sure)
    assert not other.is_probability
    assert any("not the one that is given" in note for note in other.notes)


def test_a_text_without_an_answer_is_never_chosen_for_an_equal_answer():
    sorting = Sorting(
        extract=lambda text: text[4:] if text.startswith("say ") else None,
        recipe={"answer": "after say"},
    )
    answers = answers_of(["x", "x", "x", "say x", "say y"], sorting)
    for way in ("majority", "mbr:edit"):
        chosen = chosen_answer(answers, way, sorting=sorting)
        assert chosen is not None
        assert (chosen.text, chosen.sample) == ("x", 3)


def test_a_judge_joins_the_sets_and_its_recipe_is_the_same_for_every_question(
    tmp_path,
):
    model = table_of(tmp_path, ["a", "b", "T", "F"], {("b",): {"T": 0.9, "F": 0.1}})
    form = JudgeForm("{one}{other}b", ("T",), ("F",))
    read = read_by(judge=ModelJudge(model, form))
    two = read_samples(Samples.of("?", ["a", "b", "a"]), read)
    assert two.found.answers.votes.tolist() == [3]
    assert [verdict.probability for verdict in two.verdicts] == pytest.approx([0.9] * 2)
    same = read_samples(Samples.of("?", ["a", "a", "a"]), read)
    assert same.verdicts == ()
    assert dict(same.found.answers.recipe) == dict(two.found.answers.recipe)


def test_ten_wordings_of_a_biased_model_agree_and_are_wrong(tmp_path):
    model = table_of(tmp_path, ["a", "b", "?", " "], {("?",): {"a": 0.97, "b": 0.03}})
    wordings = [" " * k + "{question}" for k in range(10)]
    found = ask(
        model, "?", draws=4, wordings=wordings, decoding=ONE, gold=["b"], read=read_by()
    )
    assert found.wordings is not None
    assert number(found.wordings.across.value) > 0.85
    assert found.wordings.leaders == 10
    assert found.found.right is False
    assert any("leans to one answer" in note for note in found.notes)


def test_many_questions_are_asked_as_each_alone_would_be(letters, tmp_path):
    questions = {"one": "?", "two": "c?"}
    drawing = Drawing(Draws(12, 5), ONE)
    journal = tmp_path / "kept.jsonl"
    found = ask_all(
        letters,
        questions,
        drawing,
        read=read_by(),
        gold={"one": ["a"], "two": ["c"]},
        journal=journal,
    )
    streamed = nescio.sample_stream(letters, ["?", "c?"], Draws(12, 5), decoding=ONE)
    expected: dict[int, dict[int, str]] = {0: {}, 1: {}}
    for place, one in streamed:
        expected[place][one.draw] = one.text
    for place, samples in enumerate(found.samples.values()):
        assert list(samples.texts) == [expected[place][draw] for draw in range(12)]
    assert found.found.right is not None
    assert found.found.right.tolist() == [True, True]
    model = Counted(letters)
    again = ask_all(model, questions, drawing, read=read_by(), journal=journal)
    assert model.steps == 0
    assert again.samples["two"].texts == found.samples["two"].texts


def test_many_questions_in_several_wordings_have_agreement_within_and_across(letters):
    found = ask_all(
        letters,
        {str(number): "?" for number in range(6)},
        Drawing(Draws(8), ONE),
        read=read_by(),
        wordings=["{question}", "c{question}"],
    )
    within, across, apart = (
        found.wordings[f"agreement_{name}"]
        for name in ("within_wordings", "across_wordings", "within_less_across")
    )
    assert number(apart.value) == pytest.approx(
        number(within.value) - number(across.value)
    )
    assert number(apart.low) > 0.0
    assert within.population == "questions like these, with these wordings"


def test_an_empty_question_of_many_is_named(letters):
    with pytest.raises(InvalidInput, match="two: the question is empty"):
        ask_all(letters, {"one": "?", "two": " "}, Drawing(Draws(2), ONE))
    with pytest.raises(InvalidInput, match="no questions"):
        ask_all(letters, {}, Drawing(Draws(2), ONE))


def test_a_rule_stops_each_of_many_questions_by_itself(letters):
    rule = AdaptiveRule(most=30)
    drawing = Drawing(AdaptiveDraws(rule, seed=1), ONE)
    found = ask_all(letters, {"one": "?", "two": "c?"}, drawing, read=read_by())
    for name, prompt, place in (("one", "?", 0), ("two", "c?", 1)):
        used = found.found.stops[name].used
        assert len(found.samples[name]) == used
        whole = drawn_answers(
            letters, [Prompt(text="?"), Prompt(text="c?")], Drawing(Draws(30, 1), ONE)
        )
        texts = [one.text for one in whole.answers[place]]
        assert found.found.stops[name] == stopping_point(answers_of(texts).labels, rule)
        assert list(found.samples[name].texts) == texts[:used], prompt
    both = replace(FAST, details=("two",))
    told = ask_all(
        letters, {"one": "?", "two": "c?"}, drawing, read=HowRead(survey=both)
    ).found
    assert told.details["two"].stop == told.stops["two"]
    taken = sum(stop.used for stop in told.stops.values())
    assert told.saved is not None
    assert number(told.saved.value) == pytest.approx(1 - taken / 60)


def test_one_sample_that_is_there_agrees_with_nothing():
    with pytest.raises(NotEnoughData, match="one sample"):
        read_samples(Samples.of("?", ["a"]))


def half_a_dozen(tmp_path: Path) -> tuple[Any, ModelJudge]:
    """A model of two words for one number, and a judge that holds all for the same."""
    letters = [c for c in map(chr, range(32, 127)) if c != "6"]
    none = dict.fromkeys(letters, 0.0)
    model = table_of(
        tmp_path,
        ["six", "6", *letters],
        {(): {"six": 0.6, "6": 0.4, **none}, (":",): {"y": 0.8, "n": 0.2}},
    )
    form = JudgeForm("{one} {other}:", ("y",), ("n",))
    return model, ModelJudge(model, form, chat=False)


def test_any_answer_of_a_set_that_a_judge_joined_may_be_the_right_one(tmp_path):
    model, judge = half_a_dozen(tmp_path)
    read = read_by(judge=judge)
    for gold in ("six", "6"):
        found = ask(model, "?", draws=9, decoding=ONE, read=read, gold=[gold])
        assert found.found.sets[0].votes == 9
        assert found.found.right is True, gold
    many = ask_all(
        model,
        {"one": "?", "two": "?"},
        Drawing(Draws(9), ONE),
        read=read,
        gold={"one": ["six"], "two": ["6"]},
    )
    assert many.found.right is not None
    assert many.found.right.tolist() == [True, True]


def test_what_a_judge_said_of_many_questions_is_kept_and_told(tmp_path):
    model, judge = half_a_dozen(tmp_path)
    asked = {f"q{k}": "?" for k in range(3)}
    drawing = Drawing(Draws(6), ONE)
    found = ask_all(model, asked, drawing, read=read_by(judge=judge))
    assert list(found.verdicts) == list(asked)
    assert all(len(log) == 2 for log in found.verdicts.values())
    assert any("said yes to all 6 pairs" in note for note in found.found.notes)


class Encoder:
    """Vectors by the first letter; counts how it is asked."""

    name, settings = "letters", {}

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def vectors(self, texts: Any) -> np.ndarray:
        self.asked.append(list(texts))
        return np.array([[ord(text[0]) - 96.0, 1.0] for text in texts])


@pytest.mark.parametrize("threshold", [None, 0.99])
def test_an_encoder_reads_all_texts_of_a_question_at_a_time(threshold):
    encoder = Encoder()
    survey = replace(
        FAST, similarities=(EmbeddedSimilarity(encoder),), threshold=threshold
    )
    samples = Samples.of("?", ["a" * 20_000, "b", "c", "d", "b"])
    read_samples(samples, HowRead(survey=survey))
    assert [len(texts) for texts in encoder.asked] == [4]
    assert max(map(len, encoder.asked[0])) == 10_000  # what is compared of a text


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": 3},
        {"total_logp": 5.0},
        {"total_logp": -(10**400)},
        {"token_count": "x"},
        None,
    ],
)
def test_a_journal_with_what_is_no_answer_is_refused_by_its_name(
    letters, tmp_path, wrong
):
    journal = tmp_path / "kept.jsonl"
    ask(letters, "?", draws=2, decoding=ONE, read=read_by(), journal=journal)
    heading, first, _ = journal.read_text().splitlines()
    fields = None if wrong is None else json.loads(first)[1] | wrong
    journal.write_text(f"{heading}\n{json.dumps([0, fields])}\n")
    with pytest.raises(SchemaError, match=r"kept\.jsonl: result 0 is no answer"):
        ask(letters, "?", draws=2, decoding=ONE, read=read_by(), journal=journal)


@pytest.mark.parametrize("tokens", [-3, 10**30])
def test_a_number_of_tokens_that_no_text_has_is_refused(tokens):
    with pytest.raises(InvalidInput, match="tokens, which no text has"):
        answers_of(Samples(Prompt(text="?"), (Sample("a", token_count=tokens),) * 2))
