"""What every engine promises, checked on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nescio
from nescio.kernel import log_softmax
from nescio.models.reading import check_runs
from nescio.models.table import read_table
from tests.models.tiny import tiny_model, tiny_on_openvino

TEXTS = [
    b"The quick brown fox jumps over the lazy dog.",
    b"A short one.",
    "七転び八起き。 naïve café — 12345".encode(),
]
TABLE_TEXTS = [b"abcdefabcabcabcfffababab", b"fefe", b"abababcdefabab"]


@pytest.fixture(
    scope="module",
    params=[
        "table",
        "llama",
        "gemma3",
        "llama on openvino",
        "gemma3 on openvino",
        pytest.param("smollm2 on openvino", marks=pytest.mark.local_model),
        pytest.param("smollm2", marks=pytest.mark.verify),
        pytest.param("gemma3-270m", marks=pytest.mark.verify),
        pytest.param("gemma3-270m on openvino", marks=pytest.mark.verify),
    ],
)
def model(request: pytest.FixtureRequest) -> Any:
    """One engine after the other."""
    if request.param == "table":
        return read_table("topics")
    name, _, engine = request.param.partition(" on ")
    if name in ("llama", "gemma3"):
        return tiny_on_openvino(name) if engine else tiny_model(name)
    return nescio.load(name, engine=engine or "transformers")


@pytest.fixture
def tolerance(model: Any) -> float:
    """How far two float32 computations of one number may lie apart."""
    return 0.0 if model.origin.engine == "table" else 2e-4


@pytest.fixture
def sequences(model: Any) -> list[np.ndarray]:
    """Texts of unequal length as token ids behind the document start."""
    texts = TABLE_TEXTS if model.origin.engine == "table" else TEXTS
    start = np.array(model.start, dtype=np.int32)
    return [np.concatenate([start, model.encode(text)]) for text in texts]


def scored(model: Any, sequences: list[np.ndarray], *, rows: int = 5) -> list[Any]:
    """Log-probabilities after each position but the last, sequence by sequence."""
    found = [np.full((len(s) - 1, model.vocabulary.size), np.nan) for s in sequences]
    skip = [0] * len(sequences)
    for block in model.logit_blocks(sequences, skip=skip, rows=rows):
        assert len(block.logits) <= rows
        logp = log_softmax(block.logits)
        for row, (index, position) in enumerate(
            zip(block.sequence, block.position, strict=True)
        ):
            assert np.isnan(found[index][position]).all(), "a row came twice"
            found[index][position] = logp[row]
    return found


def stepped(model: Any, ids: np.ndarray) -> np.ndarray:
    """The same, one token at a time."""
    context, rows = model.open(), []
    for token in ids[:-1]:
        (context,), logits = model.extend([context], [np.array([token])])
        rows.append(log_softmax(logits)[0])
    return np.stack(rows)


def close(one: np.ndarray, other: np.ndarray, tolerance: float) -> None:
    """Equal log-probabilities, -inf included."""
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


def fresh(model: Any, ids: np.ndarray) -> np.ndarray:
    """What comes after all of these tokens, read at once by a new context."""
    return log_softmax(model.extend([model.open()], [ids])[1])[0]


def test_every_row_of_every_sequence_comes_once_and_is_a_distribution(
    model: Any, sequences: list[np.ndarray]
) -> None:
    for rows in scored(model, sequences):
        np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1.0, atol=1e-9)


def test_skipped_positions_are_not_computed(
    model: Any, sequences: list[np.ndarray]
) -> None:
    skip = [min(2, len(s) - 1) for s in sequences]
    blocks = list(model.logit_blocks(sequences, skip=skip))
    count = sum(len(block.position) for block in blocks)
    assert count == sum(len(s) - 1 - k for s, k in zip(sequences, skip, strict=True))
    for block in blocks:
        assert (block.position >= np.array(skip)[block.sequence]).all()


def test_scoring_equals_stepping(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    close(scored(model, sequences[:1])[0], stepped(model, sequences[0]), tolerance)


def test_a_batch_equals_its_members_alone_so_padding_is_masked(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    for together, ids in zip(scored(model, sequences), sequences, strict=True):
        close(together, scored(model, [ids])[0], tolerance)


def test_ragged_contexts_stepped_together_equal_each_alone(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    opened = [model.open() for _ in sequences]
    contexts, logits = model.extend(opened, [s[:-3] for s in sequences])
    for back in (3, 2, 1):
        runs = [s[len(s) - back : len(s) - back + 1] for s in sequences]
        contexts, logits = model.extend(contexts, runs)
    for row, ids in zip(log_softmax(logits), sequences, strict=True):
        close(row, fresh(model, ids), tolerance)
    assert [context.length for context in contexts] == [len(s) for s in sequences]


def test_runs_of_unequal_length_into_contexts_of_unequal_length(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    cut = [1 + number % (len(s) - 1) for number, s in enumerate(sequences)]
    opened = [model.open() for _ in sequences]
    heads = [s[:k] for s, k in zip(sequences, cut, strict=True)]
    contexts, _ = model.extend(opened, heads)
    tails = [s[k:] for s, k in zip(sequences, cut, strict=True)]
    _, logits = model.extend(contexts, tails)
    for row, ids in zip(log_softmax(logits), sequences, strict=True):
        close(row, fresh(model, ids), tolerance)


def test_a_forked_context_equals_a_fresh_one_and_leaves_its_parent(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    ids, other = sequences[0], sequences[2]
    (parent,), _ = model.extend([model.open()], [ids[:5]])
    _, logits = model.extend([parent, parent], [ids[5:], other[1:4]])
    close(log_softmax(logits)[0], fresh(model, ids), tolerance)
    branch = np.concatenate([ids[:5], other[1:4]])
    close(log_softmax(logits)[1], fresh(model, branch), tolerance)
    _, again = model.extend([parent], [ids[5:]])
    close(log_softmax(again)[0], fresh(model, ids), tolerance)


def test_a_parent_stepped_in_place_is_still_what_it_was(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    ids = sequences[0]
    (parent,), _ = model.extend([model.open()], [ids[:4]])
    (child,), _ = model.extend([parent], [ids[4:5]])
    model.extend([child], [ids[5:6]])
    branch = np.concatenate([ids[:4], ids[6:8]])
    _, logits = model.extend([parent], [ids[6:8]])
    close(log_softmax(logits)[0], fresh(model, branch), tolerance)


def test_a_rewound_context_equals_a_fresh_one(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    ids, other = sequences[0], sequences[2]
    (context,), _ = model.extend([model.open()], [ids])
    for kept in (len(ids) - 1, len(ids) // 2, 1):
        _, logits = model.extend([context.rewind(kept)], [other[1:3]])
        branch = np.concatenate([ids[:kept], other[1:3]])
        close(log_softmax(logits)[0], fresh(model, branch), tolerance)


def test_a_rewind_beyond_what_was_read_is_refused(
    model: Any, sequences: list[np.ndarray]
) -> None:
    (context,), _ = model.extend([model.open()], [sequences[0][:4]])
    for length in (-1, 5):
        with pytest.raises(nescio.NescioError, match="cannot be rewound"):
            context.rewind(length)


def test_leaving_and_joining_a_batch_changes_nothing(
    model: Any, sequences: list[np.ndarray], tolerance: float
) -> None:
    ids, other = sequences[0], sequences[2]
    (one, two), _ = model.extend([model.open()] * 2, [ids[:6], other[:3]])
    (one,), _ = model.extend([one], [ids[6:7]])
    (two, one), _ = model.extend([two, one], [other[3:4], ids[7:8]])
    _, logits = model.extend([one, two], [ids[8:9], other[4:5]])
    close(log_softmax(logits)[0], fresh(model, ids[:9]), tolerance)
    close(log_softmax(logits)[1], fresh(model, other[:5]), tolerance)


def test_what_cannot_be_cut_into_blocks_is_refused(
    model: Any, sequences: list[np.ndarray]
) -> None:
    if model.origin.engine == "table":
        return
    zeros = [0] * len(sequences)
    for given in ({"skip": zeros, "rows": 0}, {"skip": [0]}, {"skip": [-1, 0, 0]}):
        with pytest.raises(nescio.NescioError, match=r"rows is 0|skip is"):
            list(model.logit_blocks(sequences, **given))


def test_a_context_of_another_engine_is_refused(
    model: Any, sequences: list[np.ndarray]
) -> None:
    if model.origin.engine == "table":
        return
    with pytest.raises(nescio.NescioError, match="is no context of"):
        check_runs(model, [read_table("coin").open()], sequences[:1])


def test_capabilities_are_what_the_protocols_say(model: Any) -> None:
    from nescio.models import protocol

    for capability in ("Model", "Tokenized", "Scoring", "Stepping"):
        protocol.require(model, getattr(protocol, capability), purpose="the contract")
    with pytest.raises(nescio.NescioError, match="Templated"):
        protocol.require(object(), protocol.Templated, purpose="a chat")
