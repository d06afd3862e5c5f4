"""The exact model: its own closed forms, and files that are no table."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nescio.errors import InvalidDistribution, InvalidText, SchemaError, UnknownModel
from nescio.models.table import read_table


def written(path: Path, **fields: Any) -> str:
    """A table file."""
    table = {"tokens": ["a", "b"], "rows": [{"after": [], "p": [0.5, 0.5]}]}
    path.write_text(json.dumps(table | fields), encoding="utf-8")
    return str(path)


def test_a_two_state_chain_has_the_entropy_rate_of_the_textbook(tmp_path: Path) -> None:
    """Cover & Thomas (2006), section 4.2: rate = (b H(a) + a H(b)) / (a + b)."""
    a, b = 0.1, 0.4
    rows = [
        {"after": [], "p": [0.8, 0.2]},
        {"after": ["a"], "p": [1 - a, a]},
        {"after": ["b"], "p": [b, 1 - b]},
    ]
    table = read_table(written(tmp_path / "chain.json", rows=rows))

    def h(p: float) -> float:
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    assert table.entropy_rate() == pytest.approx((b * h(a) + a * h(b)) / (a + b))
    np.testing.assert_allclose(table.stationary()[1], [0.8, 0.2], atol=1e-12)


def test_the_entropy_rate_is_the_growth_of_block_entropies() -> None:
    table = read_table("topics")

    def block(length: int) -> float:
        p = np.array([p for _, p in table.enumerate(length)])
        return float(-(p * np.log(p)).sum())

    assert block(5) - block(4) == pytest.approx(table.entropy_rate(), abs=1e-9)


def test_enumeration_sums_to_one_and_equals_the_product_of_rows() -> None:
    table = read_table("pieces")
    found = dict(table.enumerate(3))
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-12)
    end = table.vocabulary.end[0]
    for tokens in product(range(6), repeat=3):
        logp = sum(table.row(tokens[:i])[t] for i, t in enumerate(tokens))
        assert found.get(tokens, 0.0) == pytest.approx(np.exp(logp), abs=1e-15)
    assert found[(end,)] == pytest.approx(0.1)


def test_the_longest_matching_context_counts() -> None:
    table = read_table("pieces")
    after = {name: table.row(ids)[0] for name, ids in
             {"a": [0], "ab b": [2, 1], "b": [1], "a b": [0, 1]}.items()}  # fmt: skip
    expected = {"a": 0.1, "ab b": 0.5, "b": 0.3, "a b": 0.3}
    assert {k: round(float(np.exp(v)), 9) for k, v in after.items()} == expected


def test_simulated_texts_have_the_stationary_shares_and_transitions() -> None:
    table = read_table("topics")
    texts = table.simulate(np.random.default_rng(0), texts=400, length=300)
    shares = np.bincount(texts.ravel(), minlength=6) / texts.size
    np.testing.assert_allclose(shares, table.stationary()[1], atol=0.02)
    followers = texts[:, 1:][texts[:, :-1] == 0]
    row = np.bincount(followers, minlength=6) / len(followers)
    np.testing.assert_allclose(row, np.exp(table.row([0])[:6]), atol=0.01)


def test_encoding_takes_the_fewest_tokens_and_spells_the_text() -> None:
    table = read_table("pieces")
    assert table.encode("abaéb".encode()).tolist() == [2, 0, 3, 1]
    with pytest.raises(InvalidText, match="cannot write"):
        table.encode(b"abc")


def test_a_table_that_ends_has_no_entropy_rate() -> None:
    with pytest.raises(InvalidDistribution, match="can end"):
        read_table("pieces").entropy_rate()


def test_two_long_runs_are_refused(tmp_path: Path) -> None:
    rows = [
        {"after": [], "p": [0.5, 0.5]},
        {"after": ["a"], "p": [1, 0]},
        {"after": ["b"], "p": [0, 1]},
    ]
    table = read_table(written(tmp_path / "stuck.json", rows=rows))
    with pytest.raises(InvalidDistribution, match="more than one way"):
        table.entropy_rate()


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"rows": [{"after": [], "p": [0.5, 0.4]}]}, InvalidDistribution, "sum to 1"),
        (
            {"rows": [{"after": [], "p": [1.5, -0.5]}]},
            InvalidDistribution,
            "at least 0",
        ),
        ({"rows": [{"after": [], "p": [float("nan"), 1]}]}, InvalidDistribution, "sum"),
        ({"rows": [{"after": [], "p": ["0.5", "0.5"]}]}, SchemaError, "numbers"),
        ({"rows": [{"after": [], "p": [True, False]}]}, SchemaError, "numbers"),
        ({"rows": [{"after": [], "p": {"1": 0, "0": 1}}]}, SchemaError, "lists"),
        ({"rows": [{"after": [], "p": [10**400, 0]}]}, SchemaError, "too large"),
        ({"end": [{}]}, SchemaError, "not one of its tokens"),
        ({"tokens": "ab"}, SchemaError, "lists"),
        ({"rows": [{"after": [], "p": [1.0]}]}, SchemaError, "1 probabilities for 2"),
        ({"rows": [{"after": ["a"], "p": [0.5, 0.5]}]}, SchemaError, "after nothing"),
        ({"rows": [{"after": ["x"], "p": [0.5, 0.5]}]}, SchemaError, "'x' is not one"),
        ({"rows": [{"p": [0.5, 0.5]}]}, SchemaError, "needs 'after'"),
        ({"tokens": ["a", "a"]}, SchemaError, "only once"),
        ({"tokens": []}, SchemaError, "have to be there"),
        ({"tokens": ["a", {"hex": "zz"}]}, SchemaError, "not a table"),
        ({"tokens": ["a", 3]}, SchemaError, "not a table"),
        ({"end": ["<e>"]}, SchemaError, "not one of its tokens"),
    ],
)
def test_what_is_no_table_is_refused_and_says_where(
    tmp_path: Path, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_table(written(tmp_path / "bad.json", **fields))


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff{}", b"{", b'{"tokens": 3}'])
def test_any_file_is_refused_and_none_crashes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    with pytest.raises(SchemaError, match="not a table"):
        read_table(path)


def test_an_unknown_table_names_the_bundled_ones() -> None:
    with pytest.raises(UnknownModel, match="coin, topics, pieces"):
        read_table("nowhere.json")
