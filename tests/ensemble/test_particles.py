"""Particles find the product of whole texts: enumeration says so."""

from __future__ import annotations

import numpy as np
import pytest

from nescio.ensemble.joining import Ensemble
from nescio.ensemble.particles import Swarm, draw_particles, effective, systematic
from nescio.errors import InvalidDistribution, InvalidInput
from nescio.models.table import Table, read_table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import ended, prefix
from tests.ensemble.test_speculative import narrow

LENGTH = 3


def exact(
    tables: tuple[Table, ...], weights: tuple[float, ...]
) -> dict[tuple[bytes, str], float]:
    """Π P_i(text)^w_i of every text that ends, or is cut, by brute force."""
    found = {}

    def product(p: list[float]) -> float:
        return float(np.prod([x**w for x, w in zip(p, weights, strict=True)]))

    texts = [b""]
    for length in range(LENGTH + 1):
        for text in texts:
            if length == LENGTH:
                found[text, "length"] = product([prefix(t, text) for t in tables])
            else:
                found[text, "eos"] = product([ended(t, text) for t in tables])
        texts = [text + letter for text in texts for letter in (b"a", b"b")]
    return found


def pair() -> tuple[Table, Table]:
    return narrow(11), narrow(12)


@pytest.mark.parametrize(
    ("threshold", "power", "runs"),
    [
        (0.97, 1.5, 50),
        pytest.param(0.97, 1.0, 2000, marks=pytest.mark.verify),
        pytest.param(0.0, 1.0, 2000, marks=pytest.mark.verify),
    ],
)
def test_the_normaliser_is_unbiased(threshold: float, power: float, runs: int) -> None:
    weights = (0.4, 0.6)
    tables = pair()
    ensemble = Ensemble(tables, rule="product", weights=weights)
    truth = sum(exact(tables, tuple(power * w for w in weights)).values())
    swarm = Swarm(4, runs, LENGTH, threshold, power)
    found = draw_particles(ensemble, swarm=swarm, seed=5)
    z = np.exp(found.run_log_normalisers)
    error = z.std(ddof=1) / np.sqrt(len(z))
    assert error > 0.0
    assert abs(z.mean() - truth) < 4 * error
    estimate = found.log_normaliser
    assert estimate.value == pytest.approx(np.log(z.mean()))
    assert estimate.low is not None
    assert estimate.low <= np.log(truth) + 4 * error
    assert (found.resampled > 0.0) == (threshold > 0.0)


def test_more_particles_come_nearer_to_the_product() -> None:
    tables, weights = pair(), (0.5, 0.5)
    ensemble = Ensemble(tables, rule="product", weights=weights)
    truth = exact(tables, weights)
    total = sum(truth.values())
    assert total < 0.99  # not what a product of one byte each would be
    apart = []
    for count in (4, 400):
        found = draw_particles(ensemble, swarm=Swarm(count, 6, LENGTH), seed=1)
        near = {(one.buffer, one.stop): one.weight for one in found.texts}
        assert sum(near.values()) == pytest.approx(1.0)
        assert set(near) <= set(truth)
        apart.append(
            0.5 * sum(abs(near.get(k, 0.0) - p / total) for k, p in truth.items())
        )
        assert 1.0 <= found.effective <= count
    assert apart[1] < 0.5 * apart[0]
    assert apart[1] < 0.05


def test_a_model_with_itself_is_itself() -> None:
    coin = read_table("coin")
    both = Ensemble((coin, coin), rule="product")
    found = draw_particles(both, swarm=Swarm(64, 5, 2))
    assert found.log_normaliser.value == pytest.approx(0.0, abs=1e-12)
    assert found.resampled == 0
    assert found.effective == pytest.approx(64)
    assert {one.stop for one in found.texts} == {"length"}
    again = draw_particles(both, swarm=Swarm(64, 5, 2))
    assert again.texts == found.texts


def letter(text: str, *, end: float) -> Table:
    vocabulary = Vocabulary.of(
        [*(x.encode() for x in text), b"", b""],
        control={len(text): "<end>", len(text) + 1: "<start>"},
        end=[len(text)],
    )
    p = np.append(np.full(len(text), (1 - end) / len(text)), end)
    with np.errstate(divide="ignore"):
        row = np.append(np.log(p), -np.inf)
    return Table(f"table:{text}", vocabulary, {(): row}, text)


def test_a_dead_end_has_no_weight_and_only_dead_ends_are_refused() -> None:
    never = Ensemble((letter("a", end=0.0), letter("b", end=0.0)), rule="product")
    with pytest.raises(InvalidDistribution, match="no symbol in common"):
        draw_particles(never)
    tokens = [b"a", b"b", b"", b""]
    vocabulary = Vocabulary.of(tokens, control={2: "<end>", 3: "<start>"}, end=[2])

    def after_a(end: float) -> Table:
        with np.errstate(divide="ignore"):
            rows = {
                (): np.log([0.5, 0.5, 0.0, 0.0]),
                (0,): np.log([0.0, 1.0 - end, end, 0.0]),
                (1,): np.log([0.0, 0.0, 1.0, 0.0]),
            }
        return Table(f"table:{end}", vocabulary, rows, str(end))

    stuck = Ensemble((after_a(0.0), after_a(1.0)), rule="product")
    found = draw_particles(stuck, swarm=Swarm(32, 5, 4))
    assert [(one.buffer, one.stop) for one in found.texts] == [(b"b", "eos")]
    assert np.exp(found.log_normaliser.value or 0.0) == pytest.approx(0.5, abs=0.2)


def test_places_are_drawn_by_weight() -> None:
    weights = np.array([0.1, 0.0, 0.6, 0.3])
    drawn = np.zeros(4)
    for uniform in (np.arange(200) + 0.5) / 200:
        places = systematic(weights, float(uniform))
        counts = np.bincount(places, minlength=4)
        assert (np.abs(counts - 4 * weights) < 1).all()
        drawn += counts / 200
    np.testing.assert_allclose(drawn, 4 * weights, atol=0.02)
    assert effective(np.ones(5)) == pytest.approx(5.0)


def test_what_is_no_swarm_is_refused() -> None:
    coin = read_table("coin")
    with pytest.raises(InvalidInput, match="the rule is mean"):
        draw_particles(Ensemble((coin,)))
    with pytest.raises(InvalidInput, match="seed is -1"):
        draw_particles(Ensemble((coin,), rule="product"), seed=-1)
    for wrong, message in (
        ({"count": 0}, "count is 0"),
        ({"threshold": 2}, "threshold is 2"),
        ({"power": 0}, "power is 0"),
    ):
        with pytest.raises(InvalidInput, match=message):
            Swarm(**wrong)
    few = draw_particles(
        Ensemble((coin, coin), rule="product"), swarm=Swarm(2, runs=2, max_bytes=2)
    )
    assert few.log_normaliser.low is None
