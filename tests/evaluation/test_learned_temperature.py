"""Learned temperatures: hidden states, fits, files, tasks that were held out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from inspect import unwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from nescio.calibration import temperature
from nescio.calibration.measuring import How
from nescio.errors import CapabilityError, InvalidInput, SchemaError
from nescio.evaluation import adaptive_temperature, thermometer
from nescio.evaluation.answer_state_files import read_states, write_states
from nescio.evaluation.answer_state_reading import answer_states, token_states
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.learned_temperature import LearnedTemperature, Learning
from nescio.evaluation.learned_temperature_files import (
    read_learned_temperature,
    write_learned_temperature,
)
from nescio.evaluation.multiple_choice import choices_by_letter, choices_by_text
from nescio.evaluation.tasks import Layout, Question, Task
from nescio.evaluation.unseen_tasks import (
    mean_over_tasks,
    pooled_temperature,
    unseen_tasks,
)
from nescio.models.protocol import LayerBlock
from nescio.models.table import Table
from nescio.outcome import Predictions
from nescio.trace import Origin
from tests.evaluation.making import writer

ORIGIN = Origin("made", "digest", "tokens", "none", "f32").to_dict()
BRIEF = Learning(hidden=4, steps=20, batch=16, every=10)


def task_of(
    name: str,
    count: int = 60,
    *,
    over: float = 1.0,
    width: int = 3,
    answers: int = 4,
    seed: int = 0,
    **fields: Any,
) -> AnswerStates:
    """Answers of a source whose logits are ``over`` times what they should be.

    The first number of a state says so.
    """
    draw = np.random.default_rng([seed, len(name)])
    logits = 2.0 * draw.standard_normal((count, answers))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (chances.cumsum(1) < draw.random((count, 1))).sum(1)
    states = 0.1 * draw.standard_normal((count, width))
    states[:, 0] += math.log(over)
    rows = Predictions.of(logits * over, labels, "logit")
    ids = tuple(f"{name} {row}" for row in range(count))
    made = AnswerStates(name, rows, states.astype(np.float32), ORIGIN, ids=ids)
    return replace(made, **fields)


def constant(rows: list[list[float]], labels: list[int]) -> AnswerStates:
    """A task of which every question has the same state."""
    ids = tuple(str(row) for row in range(len(rows)))
    states = np.ones((len(rows), 2), dtype=np.float32)
    return AnswerStates(
        "one", Predictions.of(rows, labels, "logit"), states, ORIGIN, ids=ids
    )


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_where_states_are_alike_a_thermometer_is_plain_temperature(weight) -> None:
    rows = [[3.0, 0.0], [1.0, 0.0], [0.0, 2.0], [4.0, 0.0]] * 10
    task = constant(rows, [0, 1, 1, 0, 1, 0, 1, 0] * 5)

    def loss(beta: float) -> float:
        cooled = [np.array(row) * beta for row in rows]
        pairs = zip(cooled, task.predictions.labels, strict=True)
        log_loss = np.mean([np.logaddexp.reduce(z) - z[y] for z, y in pairs])
        prior = 1.25 * math.log(4) + math.lgamma(1.25) + 1 / beta / 4
        return log_loss + weight * (prior + 0.25 * math.log(beta))

    best = minimize_scalar(loss, bounds=(0.01, 5), method="bounded").x
    learning = Learning(
        hidden=4,
        steps=200,
        batch=40,
        learning_rate=0.04,
        weight_decay=0,
        validation=0,
    )
    fitted = thermometer.fit([task], learning=learning, prior_weight=weight)
    found: Any = fitted.temperature(task)
    assert 1 / found.value == pytest.approx(best, rel=1e-3)
    plain = temperature.fit(task.predictions).temperature
    if weight == 0.0:
        assert found.value == pytest.approx(plain, rel=1e-3)
        cooled = temperature.fit(task.predictions).apply(task.predictions)
        after = fitted.apply(task)
        assert after.scores == pytest.approx(cooled.scores, abs=5e-3)
    else:
        assert abs(found.value - plain) > 0.1


def test_a_temperature_is_read_off_the_states_of_an_unseen_task() -> None:
    overs = {f"task {over}": over for over in (1.0, 1.5, 2.0, 3.0, 5.0, 6.0)}
    tasks = [task_of(name, 200, over=over) for name, over in overs.items()]
    unseen = task_of("unseen", 200, over=1.25, seed=9)
    learning = Learning(hidden=8, steps=150, learning_rate=0.02, standardised=True)
    fitted = thermometer.fit(tasks, learning=learning)
    found: Any = fitted.temperature(unseen)
    assert 1.0 < found.value < 2.0
    assert found.low < found.value < found.high
    pooled = pooled_temperature(tasks).temperature
    assert pooled > 3.0
    report = fitted.report
    assert report.log_loss_after < report.log_loss_before
    assert report.n + report.n_validation == 6 * 200
    judged = {step: loss for step, _, loss in report.history}
    assert judged[report.kept_step] == min(judged.values())


def test_one_temperature_for_a_task_and_one_for_every_row() -> None:
    tasks = [task_of("one"), task_of("three", over=3.0)]
    hot = thermometer.fit(tasks, learning=BRIEF)
    own = adaptive_temperature.fit(tasks, learning=replace(BRIEF, head="linear"))
    for fitted in (hot, own):
        after = fitted.apply(tasks[1])
        before = tasks[1].predictions
        inverse = fitted.inverse_temperatures(tasks[1])
        assert len(set(inverse.tolist())) > 50
        ratios = [
            np.ptp(after.logp(row)) / np.ptp(before.logp(row)) for row in range(60)
        ]
        expected = inverse.mean() if fitted is hot else inverse
        assert ratios == pytest.approx(np.broadcast_to(expected, 60).tolist())
        assert (after.outcomes().correct == before.outcomes().correct).all()


def test_numpy_applies_what_torch_trained() -> None:
    import torch

    from nescio.training.temperature_heads import adaptive_inverse, thermometer_inverse

    task = task_of("one")
    states = torch.tensor(task.states)
    for head, most in (("mlp", 10.0), ("linear", 10.0), ("linear", 0.1)):
        learning = replace(BRIEF, head=head)
        fitted = adaptive_temperature.fit([task], learning=learning, most=most)
        weights = {n: torch.tensor(w) for n, w in fitted.weights.items()}
        expected = adaptive_inverse(weights, states, most=most)
        found = fitted.inverse_temperatures(task)
        assert found == pytest.approx(expected.numpy(), rel=1e-5)
        assert bool((found == 0.1).any()) is (most == 0.1)
    fitted = thermometer.fit([task], learning=BRIEF)
    weights = {n: torch.tensor(w) for n, w in fitted.weights.items()}
    expected = thermometer_inverse(weights, states)
    found = fitted.inverse_temperatures(task)
    assert found == pytest.approx(expected.numpy(), rel=1e-5)


def test_a_fit_is_the_same_for_the_same_seed_only() -> None:
    tasks = [task_of("one"), task_of("three", over=3.0)]
    first, again = (thermometer.fit(tasks, learning=BRIEF) for _ in range(2))
    other = thermometer.fit(tasks, learning=replace(BRIEF, seed=1))
    for name, one in first.weights.items():
        assert np.array_equal(one, again.weights[name])
    assert not np.array_equal(first.weights["inner"], other.weights["inner"])
    assert first.report == again.report


def test_validation_holds_whole_clusters_and_never_all_of_them() -> None:
    clusters = tuple(f"story {row // 20}" for row in range(60))
    task = task_of("one", cluster=clusters)
    fitted = thermometer.fit([task], learning=replace(BRIEF, validation=0.3))
    assert (fitted.report.n, fitted.report.n_validation) == (40, 20)
    most = thermometer.fit([task], learning=replace(BRIEF, validation=0.99))
    assert most.report.n == 20
    none = thermometer.fit([task], learning=replace(BRIEF, validation=0))
    assert (none.report.n, none.report.kept_step) == (60, BRIEF.steps)


def test_the_step_that_is_best_on_questions_held_back_is_kept() -> None:
    # More numbers in a state than questions: the fit soon learns them by heart.
    task = task_of("noise", 40, width=40)
    learning = Learning(hidden=16, steps=100, batch=32, learning_rate=0.05, every=10)
    fitted = adaptive_temperature.fit([task], weighting="plain", learning=learning)
    judged = {step: loss for step, _, loss in fitted.report.history if loss is not None}
    assert judged[100] > judged[fitted.report.kept_step] == min(judged.values())


def test_options_of_different_numbers_and_impossible_answers_go_together() -> None:
    two = task_of("two", answers=2)
    scores = two.predictions.scores.copy().reshape(-1, 2)
    scores[0, two.predictions.labels[0]] = -np.inf
    odd = replace(
        two, predictions=Predictions.of(scores, two.predictions.labels, "logit")
    )
    tasks = [odd, task_of("four", answers=4)]
    for fitted in (
        thermometer.fit(tasks, learning=BRIEF),
        adaptive_temperature.fit(tasks, learning=BRIEF, weighting="plain"),
    ):
        assert fitted.report.rows_set_aside == 1
        assert math.isfinite(fitted.report.log_loss_after)
        after = fitted.apply(odd)
        assert after.logp(0).min() == -np.inf
        assert not np.isnan(after.scores).any()


def test_files_give_the_same_to_the_last_bit(tmp_path: Path) -> None:
    task = task_of("one", cluster=tuple("abc" * 20))
    write_states(tmp_path / "states.safetensors", task)
    back = read_states(tmp_path / "states.safetensors")
    assert back.states.tobytes() == task.states.tobytes()
    assert back.predictions == task.predictions
    for name in ("task", "origin", "ids", "cluster", "settings"):
        assert getattr(back, name) == getattr(task, name)
    learning = replace(BRIEF, standardised=True)
    path = tmp_path / "head.safetensors"
    for fitted in (
        thermometer.fit([task], learning=learning),
        adaptive_temperature.fit([task], learning=replace(BRIEF, head="linear")),
    ):
        write_learned_temperature(path, fitted)
        read = read_learned_temperature(path)
        assert read.report == fitted.report
        assert dict(read.settings) == dict(fitted.settings)
        assert set(read.weights) == set(fitted.weights)
        for name, one in fitted.weights.items():
            assert (one.shape, one.tobytes()) == (
                read.weights[name].shape,
                read.weights[name].tobytes(),
            )
        assert read.apply(task) == fitted.apply(task)
        first = path.read_bytes()
        write_learned_temperature(path, read)
        assert path.read_bytes() == first


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    task, path = task_of("one"), tmp_path / "one.safetensors"
    write_states(path, task)
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-5] ^= 1
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    header["__metadata__"]["nescio"] = "[" * 100_000
    nested = json.dumps(header).encode()
    nested = len(nested).to_bytes(8, "little") + nested + whole[8 + len(nested) :]
    for raw in (b"", whole[:-3], bytes(changed), b"{}" * 40, nested):
        path.write_bytes(raw)
        with pytest.raises(SchemaError, match=r"one\.safetensors"):
            read_states(path)
    path.write_bytes(whole)
    with pytest.raises(SchemaError, match="holds 'answer states'"):
        read_learned_temperature(path)
    with pytest.raises(InvalidInput, match="no such file"):
        read_states(tmp_path / "none")


def test_states_of_another_model_are_refused() -> None:
    task = task_of("one")
    fitted = thermometer.fit([task], learning=BRIEF)
    others = {
        name: replace(task, origin={**ORIGIN, name: "other"})
        for name in ("model_digest", "tokenizer_digest", "precision")
    }
    for name, other in others.items():
        with pytest.raises(InvalidInput, match=f"{name} is 'other'"):
            fitted.apply(other)
        with pytest.raises(InvalidInput, match=name):
            thermometer.fit([task, replace(other, task="two")], learning=BRIEF)
    with pytest.raises(InvalidInput, match="width 5; this head reads 3"):
        fitted.apply(task_of("one", width=5))


def test_what_cannot_be_fitted_is_refused() -> None:
    task = task_of("one")
    wrong = [
        lambda: replace(task, states=task.states * np.float32("nan")),
        lambda: replace(task, states=task.states[:3]),
        lambda: replace(task, ids=("a",)),
        lambda: replace(task, states=task.states[:, :0]),
        lambda: replace(task, origin={}),
        lambda: thermometer.fit([], learning=BRIEF),
        lambda: thermometer.fit([task, task], learning=BRIEF),
        lambda: thermometer.fit([task], learning=replace(BRIEF, head="linear")),
        lambda: thermometer.fit([task], learning=replace(BRIEF, learning_rate=1e30)),
        lambda: thermometer.fit([task], prior_shape=-1.0),
        lambda: adaptive_temperature.fit([task], alpha=2.0),
        lambda: adaptive_temperature.fit([task], most=0),
        lambda: Learning(validation=1.0),
        lambda: Learning(learning_rate=math.inf),
        lambda: unseen_tasks([task], {}),
        lambda: unseen_tasks([task, task_of("two")], {"none": thermometer.fit}),
        lambda: unseen_tasks([task, task_of("two")], {}, families={"one": "a"}),
    ]
    for call in wrong:
        with pytest.raises(InvalidInput):
            call()
    fitted = thermometer.fit([task], learning=BRIEF)
    for weights in (
        {**fitted.weights, "last": fitted.weights["last"][:2]},
        {**fitted.weights, "more": fitted.weights["last"]},
        {**fitted.weights, "last": fitted.weights["last"] * np.float32("nan")},
        {n: w for n, w in fitted.weights.items() if n != "outer"},
    ):
        with pytest.raises(InvalidInput, match="weights"):
            replace(fitted, weights=weights)


@dataclass(eq=False)
class Sharp:
    """Halves every logit; says what it was fitted on."""

    tasks: list[str] = field(default_factory=list)

    def fit(self, tasks: Sequence[AnswerStates]) -> Sharp:
        return Sharp([task.task for task in tasks])

    def inverse_temperatures(self, states: AnswerStates) -> np.ndarray:
        return np.full(len(states), 0.5)

    def apply(self, states: AnswerStates) -> Predictions:
        data = states.predictions
        return replace(data, scores=data.scores / 2)


def test_every_task_is_held_out_with_its_family() -> None:
    names = ("sums", "more sums", "cities", "words")
    tasks = [task_of(name, 40, over=2.0) for name in names]
    families = {name: "sums" if "sums" in name else name for name in names}
    lines = unseen_tasks(
        tasks, {"halved": Sharp().fit}, families=families, how=How(resamples=200)
    )
    assert [line.task for line in lines[::4]] == list(names)
    by_name: Any = {line.calibrator: line for line in lines if line.task == "sums"}
    assert list(by_name) == [
        "none",
        "temperature",
        "temperature of the task",
        "halved",
    ]
    assert by_name["halved"].fitted_on == ("cities", "words")
    assert by_name["temperature of the task"].fitted_on == ("sums",)
    pooled = pooled_temperature(tasks[2:])
    cooled = pooled.apply(tasks[0].predictions)
    loss = by_name["temperature"].estimates["log_loss"].value
    assert loss == pytest.approx(
        -np.mean([cooled.logp(row)[label] for row, label in enumerate(cooled.labels)])
    )
    halved = by_name["halved"]
    for base in ("none", "temperature"):
        for name, difference in halved.differences[base].items():
            both = [by_name[one].estimates[name].value for one in ("halved", base)]
            assert difference.value == pytest.approx(both[0] - both[1]), (base, name)
    assert halved.differences["none"]["log_loss"].high < 0
    assert halved.mean_inverse_temperature == 0.5
    error = halved.estimates["expected_calibration_error"]
    assert error.null_level is not None
    mean = mean_over_tasks(lines, "halved", baseline="none")
    own = [line for line in lines if line.calibrator == "halved"]
    values = [line.differences["none"]["log_loss"].value for line in own]
    assert mean.value == pytest.approx(np.mean(values))
    assert (mean.n, mean.n_clusters, mean.low) == (4, 3, None)
    with pytest.raises(InvalidInput, match="no differences"):
        mean_over_tasks(lines, "unknown")


def test_the_task_s_own_temperature_is_cross_validated() -> None:
    tasks = [task_of("one", 200, over=3.0), task_of("other", 40)]
    lines = unseen_tasks(tasks, {}, how=How(resamples=200))
    own: Any = {line.calibrator: line for line in lines if line.task == "one"}
    found = own["temperature of the task"]
    in_sample = temperature.fit(tasks[0].predictions)
    assert found.estimates["log_loss"].value > in_sample.report.log_loss_after
    assert 1 / found.mean_inverse_temperature == pytest.approx(
        in_sample.temperature, rel=0.05
    )
    assert found.differences["none"]["log_loss"].high < 0


@dataclass(frozen=True)
class Deep:
    """A table with hidden states: how many tokens were read, the start too, and -1."""

    table: Table
    name: str = "deep"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def _layers(self, lengths: Sequence[int]) -> np.ndarray:
        last = [[float(length), -1.0] for length in lengths]
        return np.stack([np.zeros((len(last), 2)), np.array(last)])

    def layer_count(self) -> int:
        return 2

    def layer_settings(self) -> dict[str, Any]:
        return {}

    def extend_layers(self, contexts: Any, tokens: Any) -> Any:
        longer, logits = self.table.extend(contexts, tokens)
        return longer, logits, self._layers([len(run) for run in tokens])

    def layer_blocks(self, sequences: Any, *, skip: Any, rows: int = 128) -> Any:
        assert rows
        for number, (ids, first) in enumerate(zip(sequences, skip, strict=True)):
            where = np.arange(first, len(ids) - 1)
            owner = np.full(len(where), number)
            yield LayerBlock(owner, where, self._layers((where + 1).tolist()))

    def head(self, rows: np.ndarray) -> np.ndarray:
        return np.tile(rows[:, :1], (1, self.table.vocabulary.size)) * np.arange(
            self.table.vocabulary.size
        )


BARE = Layout(before="", after=":", gap=" ")
ANIMALS = Task(
    "animals",
    (
        Question("1", "Which", ("dog",), ("cat", "dog"), cluster="a"),
        Question("2", "What else", ("horse",), ("horse", "cow"), cluster="b"),
    ),
    layout=BARE,
)


def made(folder: Path) -> Deep:
    rows = {
        ":": {" ": 0.5, "B": 0.1, "x": 0.4},
        ": ": {"A": 0.4, "B": 0.3, "c": 0.1, "d": 0.1, "h": 0.1},
        "c": {"a": 0.5, "o": 0.5},
        "ca": {"t": 1.0},
        "co": {"w": 1.0},
        "d": {"o": 1.0},
        "do": {"g": 1.0},
        "h": {"o": 1.0},
        "ho": {"r": 1.0},
        "or": {"s": 1.0},
        "rs": {"e": 1.0},
    }
    return Deep(writer(folder, rows))


@pytest.mark.parametrize("by", ["letter", "text"])
def test_answers_are_those_of_the_protocol_beside_states_of_the_prompts(
    tmp_path: Path, by
) -> None:
    model = made(tmp_path)
    found = answer_states(model, ANIMALS, by=by)
    if by == "letter":
        expected = choices_by_letter(model, ANIMALS)
        prompts = ["Which\nA. cat\nB. dog:", "What else\nA. horse\nB. cow:"]
    else:
        expected = choices_by_text(model, ANIMALS, length="none")
        prompts = ["Which:", "What else:"]
    assert found.predictions == expected.predictions
    assert found.states.tolist() == [[len(text) + 1, -1] for text in prompts]
    assert (found.ids, found.cluster) == (("1", "2"), ("a", "b"))
    assert found.outcomes().ids == ("1", "2")
    assert found.origin == model.origin.to_dict()
    assert found.settings["task_digest"] == ANIMALS.digest


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    model = made(tmp_path)
    first = answer_states(model, ANIMALS, cache=cache)
    (file,) = cache.iterdir()
    seen: list[tuple[int, int]] = []
    again = answer_states(
        model, ANIMALS, cache=cache, progress=lambda *n: seen.append(n)
    )
    assert not seen
    assert again.states.tobytes() == first.states.tobytes()
    answer_states(model, ANIMALS, by="text", cache=cache)
    answer_states(model, replace(ANIMALS, instruction="Say."), cache=cache)
    assert len(list(cache.iterdir())) == 3
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SchemaError, match=file.name):
        answer_states(model, ANIMALS, cache=cache)


def test_every_token_has_the_state_it_was_predicted_from(tmp_path: Path) -> None:
    model = made(tmp_path)
    found = token_states(model, {"one": "cat", "two": "horse"}, most=4)
    spelled = [bytes(model.vocabulary.token(t)) for t in found.predictions.labels]
    assert b"".join(spelled) == b"cat" + b"hors"
    assert found.states[:, 0].tolist() == [1, 2, 3, 1, 2, 3, 4]
    assert found.cluster == ("one",) * 3 + ("two",) * 4
    assert found.ids[3] == "two, token 1"
    size = model.vocabulary.size
    assert found.predictions.row(4).tolist() == [2.0 * n for n in range(size)]
    fitted = adaptive_temperature.fit([found], learning=replace(BRIEF, head="linear"))
    assert fitted.apply(found).labels.tolist() == found.predictions.labels.tolist()


def test_a_model_without_hidden_states_is_refused(tmp_path: Path) -> None:
    table = made(tmp_path).table
    for call in (
        lambda: answer_states(table, ANIMALS),
        lambda: token_states(table, {"one": "cat"}),
    ):
        with pytest.raises(CapabilityError, match="Layered"):
            call()
    with pytest.raises(InvalidInput, match="by is"):
        unwrap(answer_states)(made(tmp_path), ANIMALS, by="number")
    with pytest.raises(InvalidInput, match="no token to predict"):
        token_states(made(tmp_path), {"one": ""})
    with pytest.raises(InvalidInput, match="no texts"):
        token_states(made(tmp_path), {})


@pytest.mark.local_model
@pytest.mark.verify
def test_states_of_a_real_model_through_its_head_are_its_letters() -> None:
    import nescio

    model: Any = nescio.load("smollm2", engine="transformers")
    task = Task("animals", ANIMALS.questions)
    found = answer_states(model, task, chat=False)
    logits = model.head(found.states)
    for row in range(2):
        spelled = [[f" {letter}", letter] for letter in "AB"]
        ids = [[model.encode(s.encode())[0] for s in both] for both in spelled]
        expected = [np.logaddexp(*(logits[row, one] for one in both)) for both in ids]
        expected = np.array(expected) - np.logaddexp.reduce(expected)
        assert found.predictions.logp(row) == pytest.approx(expected, abs=1e-3)
    assert isinstance(thermometer.fit([found], learning=BRIEF), LearnedTemperature)
