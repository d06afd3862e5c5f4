"""Beam search against brute force on tables, and against transformers' own."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nescio
from nescio.decoding import Decoding, Detail
from nescio.decoding.beam import Beam, beam_search
from nescio.decoding.diverse_beam import DiverseBeam, diverse_beam_search
from nescio.errors import InvalidInput
from nescio.kernel import Sampling
from nescio.models.table import read_table
from nescio.trace import Samples
from tests.models.tiny import VOCABULARY, tiny_model


def table(rows: dict[str, list[float]], folder: Path, end: bool = True) -> Any:
    """A table over a, b, c and, as the last, an end token."""
    tokens: list[Any] = ["a", "b", "c"]
    if end:
        tokens.append({"control": "<end>"})
    content = {
        "tokens": tokens,
        "end": ["<end>"] if end else [],
        "rows": [{"after": list(after), "p": p} for after, p in rows.items()],
    }
    path = folder / "table.json"
    path.write_text(json.dumps(content))
    return read_table(path)


def brute_force(
    model: Any, after: str, length: int, power: float = 0.0
) -> list[tuple[float, tuple[int, ...]]]:
    """Every string that ends or has the longest length: (score, tokens), best first."""
    start = tuple(model.encode(after.encode()).tolist())
    pending, done = [((), 0.0)], []
    while pending:
        tokens, logp = pending.pop()
        row = model.row((*start, *tokens))
        for token in np.flatnonzero(row > -np.inf).tolist():
            longer, total = (*tokens, token), logp + float(row[token])
            if token in model.vocabulary.end or len(longer) == length:
                done.append((total / len(longer) ** power, longer))
            else:
                pending.append((longer, total))
    return sorted(done, key=lambda one: (-one[0], one[1]))


def tokens_of(samples: Samples) -> list[tuple[int, ...]]:
    found = []
    for answer in samples.answers:
        trace = answer.trace
        found.append(tuple(trace.token_ids[trace.scored].tolist()))
    return found


def random_rows(seed: int) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    contexts = ["", "a", "b", "c", "ab", "cc"]
    return {after: rng.dirichlet(np.full(4, 0.7)).tolist() for after in contexts}


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_every_string_in_order(
    tmp_path: Path, seed: int, power: float
) -> None:
    model = table(random_rows(seed), tmp_path)
    expected = brute_force(model, "a", 4, power)
    wide = Beam(len(expected), power)
    found: Any = beam_search(model, "a", beam=wide, decoding=Decoding(4))
    scores = [s.total_logp / s.token_count**power for s in found.answers]
    assert scores == pytest.approx([score for score, _ in expected], abs=1e-9)
    assert set(tokens_of(found)) == {tokens for _, tokens in expected}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_narrow_beam_is_the_search_by_hand(
    tmp_path: Path, seed: int, width: int
) -> None:
    """Without pruning of the end: every string reached is kept, then ranked."""
    model = table(random_rows(seed), tmp_path)
    start, end = tuple(model.encode(b"a").tolist()), model.vocabulary.end
    going, done = [((), 0.0)], []
    for place in range(5):
        longer = [
            ((*tokens, token), logp + float(row[token]))
            for tokens, logp in going
            for row in [model.row((*start, *tokens))]
            for token in np.flatnonzero(row > -np.inf).tolist()
        ]
        longer.sort(key=lambda one: -one[1])
        done += [one for one in longer if one[0][-1] in end or place == 4]
        going = [one for one in longer if one[0][-1] not in end][:width]
    done.sort(key=lambda one: -one[1])
    found = beam_search(model, "a", beam=Beam(width), decoding=Decoding(5))
    assert tokens_of(found) == [tokens for tokens, _ in done[:width]]


def test_a_beam_of_one_is_greedy_where_nothing_ends() -> None:
    model = nescio.load("table:topics")
    greedy = nescio.generate(model, "c", decoding=Decoding(12, Sampling(temperature=0)))
    (found,) = beam_search(model, "c", beam=Beam(1), decoding=Decoding(12)).answers
    assert found.text == greedy.completion
    assert found.total_logp == pytest.approx(np.nansum(greedy.logp), abs=1e-5)


def test_more_width_never_finds_worse_than_all_strings_allow(tmp_path: Path) -> None:
    rows = {"": [0.5, 0.4, 0.0, 0.1], "a": [0.3, 0.3, 0.3, 0.1], "b": [0, 0, 0, 1]}
    model = table(rows, tmp_path)
    narrow: Any = beam_search(model, "c", beam=Beam(1), decoding=Decoding(3))
    wide = beam_search(model, "c", beam=Beam(3), decoding=Decoding(3))
    assert narrow.answers[0].total_logp < math.log(0.4) - 0.5
    assert wide.texts[0] == "b"
    assert wide.answers[0].total_logp == pytest.approx(math.log(0.4))


def test_ties_go_to_the_lower_token_id(tmp_path: Path) -> None:
    model = table({"": [0.25, 0.25, 0.25, 0.25]}, tmp_path)
    found = beam_search(model, "a", beam=Beam(4), decoding=Decoding(2))
    assert tokens_of(found) == [(3,), (0, 0), (0, 1), (0, 2)]
    coin = beam_search(nescio.load("table:coin"), "H", decoding=Decoding(2))
    assert coin.texts == ("HH", "HT", "TH", "TT")


def test_length_counts_as_named(tmp_path: Path) -> None:
    """.3 at once, or .7 · .4 over two tokens: the second has the better mean."""
    rows = {"": [0.7, 0.0, 0.0, 0.3], "a": [0.6, 0.0, 0.0, 0.4]}
    model = table(rows, tmp_path)
    wide, how = Beam(9, 0.0), Decoding(2)
    plain = beam_search(model, "b", beam=wide, decoding=how)
    assert tokens_of(plain) == [(0, 0), (3,), (0, 3)]
    mean = beam_search(model, "b", beam=Beam(9, 1.0), decoding=how)
    assert tokens_of(mean) == [(0, 0), (0, 3), (3,)]


def test_a_search_by_mean_goes_on_while_a_longer_answer_may_win(
    tmp_path: Path,
) -> None:
    """After nine tokens .9^n is below .3 and its mean far above."""
    rows = {"": [0.7, 0.0, 0.0, 0.3], "a": [0.9, 0.1, 0.0, 0.0]}
    model = table(rows, tmp_path)
    found = beam_search(model, "b", beam=Beam(1, 1.0), decoding=Decoding(20))
    assert found.texts == ("a" * 20,)
    plain = beam_search(model, "b", beam=Beam(1), decoding=Decoding(20))
    assert tokens_of(plain) == [(3,)]


def test_stop_texts_end_answers(tmp_path: Path) -> None:
    rows = {"": [0.6, 0.3, 0.1], "a": [0.1, 0.8, 0.1]}
    model = table(rows, tmp_path, end=False)
    how = Decoding(4, stop=("ab",))
    found = beam_search(model, "c", beam=Beam(3), decoding=how)
    assert found.texts[0] == "ab"
    assert found.answers[0].stop == "stop_string"
    every = beam_search(model, "c", beam=Beam(200), decoding=how)
    total = sum(math.exp(sample.total_logp) for sample in every.answers)
    assert total == pytest.approx(1.0)
    assert all("ab" not in text[:-1] for text in every.texts)


def test_answers_carry_their_weight_and_their_recipe(tmp_path: Path) -> None:
    model = table(random_rows(0), tmp_path)
    detail = Detail(top=2, renyi=(0.5,))
    found = beam_search(model, "a", beam=Beam(3), decoding=Decoding(4, detail=detail))
    for place, answer in enumerate(found.answers):
        trace = answer.trace
        assert answer.log_weight == answer.total_logp
        assert answer.total_logp == pytest.approx(np.nansum(trace.logp), abs=1e-5)
        assert (answer.draw, answer.token_count) == (place, int(trace.scored.sum()))
        assert trace.origin.decoding["kind"] == "beam"
        assert trace.origin.decoding["beam"] == {"width": 3, "length_power": 0.0}
        assert "sampling" not in trace.origin.decoding
        assert trace.stop in ("eos", "length")
        scored = nescio.score(
            model, answer.text, given="a", detail=Detail(top=2, renyi=(0.5,))
        )
        own = trace.logp[trace.scored][: scored.scored.sum()]
        np.testing.assert_allclose(own, scored.logp[scored.scored], atol=1e-6)
        assert np.isfinite(trace.renyi[trace.scored]).all()
    assert Samples.from_dict(found.to_dict()).texts == found.texts


def plain_beams(model: Any, ids: np.ndarray, width: int, power: float) -> Any:
    network = model.network
    with torch.inference_mode():
        return network.generate(
            torch.as_tensor(ids)[None].long(),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            num_beams=width,
            num_return_sequences=width,
            length_penalty=power,
            do_sample=False,
            max_new_tokens=7,
            return_dict_in_generate=True,
            output_scores=True,
        )


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_transformers_finds_the_same(architecture: str) -> None:
    model = tiny_model(architecture)
    ids = np.concatenate([model.start, model.encode(b"When shall we")])
    theirs = plain_beams(model, ids, 4, 0.0)
    found = beam_search(
        model, "When shall we", beam=Beam(4), decoding=Decoding(7), chat=False
    )
    expected = [tuple(row[len(ids) :].tolist()) for row in theirs.sequences]
    assert tokens_of(found) == expected
    scores = [answer.total_logp for answer in found.answers]
    np.testing.assert_allclose(scores, theirs.sequences_scores.numpy(), atol=1e-3)


@given(
    st.integers(0, 50),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([0.0, 1.0]),
)
@settings(max_examples=15)
def test_one_group_is_plain_beam_search(
    tmp_path_factory: Any, seed: int, width: int, length: int, power: float
) -> None:
    model = table(random_rows(seed), tmp_path_factory.mktemp("table"))
    how = Decoding(length)
    plain = beam_search(model, "a", beam=Beam(width, power), decoding=how)
    beam = DiverseBeam(1, width, 3.0, power)
    diverse = diverse_beam_search(model, "a", beam=beam, decoding=how)
    assert tokens_of(diverse) == tokens_of(plain)
    assert [s.total_logp for s in diverse.answers] == [
        s.total_logp for s in plain.answers
    ]


def test_no_strength_repeats_the_first_group(tmp_path: Path) -> None:
    model = table(random_rows(2), tmp_path)
    plain = tokens_of(beam_search(model, "a", beam=Beam(2), decoding=Decoding(4)))
    beam = DiverseBeam(3, 2, 0.0)
    found = diverse_beam_search(model, "a", beam=beam, decoding=Decoding(4))
    assert tokens_of(found) == plain * 3
    assert [answer.draw for answer in found.answers] == list(range(6))
    groups = [answer.trace.origin.decoding["group"] for answer in found.answers]
    assert groups == [0, 0, 1, 1, 2, 2]


def test_groups_avoid_each_other_by_hand(tmp_path: Path) -> None:
    """log .5 - log .3 = .51: a strength above it sends the second group elsewhere."""
    model = table({"": [0.5, 0.3, 0.2, 0.0]}, tmp_path)
    for strength, second in ((0.5, "aa"), (0.52, "bb")):
        found = diverse_beam_search(
            model, "c", beam=DiverseBeam(2, 1, strength), decoding=Decoding(2)
        )
        assert found.texts == ("aa", second)
    # Two before it took a: log .5 - log .2 = .916 < 2 · .5, but b is nearer.
    three = DiverseBeam(3, 1, 0.52)
    found = diverse_beam_search(model, "c", beam=three, decoding=Decoding(1))
    assert found.texts == ("a", "b", "a")  # .5 e^-.52 = .297 > .2 > .3 e^-.52
    assert found.answers[1].total_logp == pytest.approx(math.log(0.3))  # no penalty


@pytest.mark.parametrize("seed", range(4))
def test_the_first_group_is_plain_and_others_are_never_better(
    tmp_path: Path, seed: int
) -> None:
    model = table(random_rows(seed), tmp_path)
    plain = beam_search(model, "b", beam=Beam(2), decoding=Decoding(4))
    beam = DiverseBeam(3, 2, 1.0)
    found: Any = diverse_beam_search(model, "b", beam=beam, decoding=Decoding(4))
    assert tokens_of(found)[:2] == tokens_of(plain)
    best = brute_force(model, "b", 4)[0][0]
    assert all(answer.total_logp <= best + 1e-12 for answer in found.answers)


def test_strength_makes_answers_differ_on_a_network() -> None:
    model = tiny_model("llama")
    how = Decoding(8)

    def different(strength: float) -> int:
        beam = DiverseBeam(4, 1, strength)
        found = diverse_beam_search(model, "Once", beam=beam, decoding=how, chat=False)
        ids = tokens_of(found)
        return sum(
            x != y
            for one, other in itertools.combinations(ids, 2)
            for x, y in itertools.zip_longest(one, other)
        )

    assert different(0.0) == 0
    assert different(5.0) > different(0.2)
    assert VOCABULARY > 4


def test_what_cannot_be_searched_is_refused() -> None:
    model = nescio.load("table:coin")
    with pytest.raises(InvalidInput, match="draws nothing"):
        beam_search(model, "H", decoding=Decoding(3, Sampling(temperature=0.5)))
    kept = Detail(renyi_processed=(0.5,))
    with pytest.raises(InvalidInput, match="renyi_processed"):
        beam_search(model, "H", decoding=Decoding(3, detail=kept))
    with pytest.raises(InvalidInput, match="width is 0"):
        Beam(0)
    with pytest.raises(InvalidInput, match="length_power is -1"):
        Beam(1, -1)
    with pytest.raises(InvalidInput, match="length_power is nan"):
        Beam(1, math.nan)
    with pytest.raises(InvalidInput, match="groups is 0"):
        DiverseBeam(0)
    with pytest.raises(InvalidInput, match="strength is -1"):
        DiverseBeam(2, 1, -1.0)
    with pytest.raises(InvalidInput, match="width is 0"):
        DiverseBeam(2, 0)
