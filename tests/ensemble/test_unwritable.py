"""What a member cannot write: by hand, as a distribution, and inside an ensemble."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.rejoining import Rejoining
from nescio.ensemble.unwritable import Escaping
from nescio.errors import CapabilityError, InvalidInput, InvalidText
from nescio.models.table import Table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import ALPHABET, ended, prefix, random_table

MASS = 0.03


def told(model: Escaping | Rejoining, text: bytes) -> np.ndarray:
    """Log-probabilities after a text."""
    run = np.array([START, *text])
    return model.extend([model.open()], [run])[1][0]


def spelled(model: Escaping, raw: bytes) -> float:
    """Log-probability that a text begins so."""
    blocks = model.logit_blocks([np.array([START, *raw])], skip=[0])
    return sum(float(block.logits[0, raw[int(block.position[0])]]) for block in blocks)


def shares_by_hand(table: Table, kept: bytes) -> np.ndarray:
    """[257] after what the model itself has written."""
    whole = prefix(table, kept)
    row = np.zeros(257)
    for letter in ALPHABET:
        row[letter[0]] = prefix(table, kept + letter[:1]) / whole
    row[256] = ended(table, kept) / whole
    return row


def by_hand(table: Table, text: bytes) -> float:
    """P(a text begins so), character by character, those the model lacks left out."""
    total, kept = 1.0, b""
    for character in text.decode():
        before, escaping = kept, 0
        for number, byte in enumerate(character.encode()):
            if escaping:
                total *= 1 / 64
                continue
            row = shares_by_hand(table, kept)
            lacking = (row[:256] == 0.0).sum()
            if row[byte] > 0.0:
                total *= row[byte] * (1.0 - MASS if lacking else 1.0)
                kept += bytes([byte])
            else:
                total *= MASS / lacking
                kept, escaping = before, number + 1
    return total


@pytest.mark.parametrize("seed", range(4))
def test_an_escape_is_what_it_is_by_hand(seed: int) -> None:
    table = random_table(seed)
    model = Escaping(table, mass=MASS)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        text = "".join(rng.choice(list("abé猫茶\x00x"), size=int(rng.integers(1, 6))))
        raw = text.encode()
        total = spelled(model, raw)
        assert np.exp(total) == pytest.approx(by_hand(table, raw), rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_an_escape_is_a_distribution_after_every_text(seed: int) -> None:
    model = Escaping(random_table(seed), mass=MASS)
    pending = [model.extend([model.open()], [np.array([START])])[0][0]]
    seen = 0
    rng = np.random.default_rng(seed)
    while pending and seen < 60:
        context = pending.pop(0)
        seen += 1
        assert np.exp(context.row).sum() == pytest.approx(1.0, abs=1e-12)
        possible = np.flatnonzero(context.row[:END] > -np.inf)
        for byte in rng.choice(possible, size=4):
            pending += model.extend([context], [np.array([byte])])[0]


def test_what_the_model_can_write_costs_the_share_that_is_kept() -> None:
    table = random_table(1)
    model, view = Escaping(table, mass=MASS), ByteView(table)
    own = np.exp(view.extend([view.open()], [np.array([START])])[1][0, :256])
    first = np.exp(told(model, b"")[:256])
    np.testing.assert_allclose(first[own > 0], own[own > 0] * (1 - MASS), rtol=1e-12)
    lacking = first[own == 0]
    np.testing.assert_allclose(lacking, MASS / len(lacking), rtol=1e-12)


def test_an_escaped_character_is_as_if_it_were_not_there() -> None:
    model = Escaping(random_table(2), mass=MASS)
    for strange in ("é", "é猫", "😀"):
        np.testing.assert_array_equal(
            told(model, b"a" + strange.encode()), told(model, b"a")
        )
    run = np.array([START, *"aé猫".encode()])
    (context,), _ = model.extend([model.open()], [run])
    assert context.escaped == 3  # the model begins the last one itself
    assert context.rewind(4).escaped == 2
    assert context.rewind(0).length == 0


def test_half_an_escaped_character_and_bytes_that_are_none() -> None:
    model = Escaping(random_table(2), mass=MASS)
    behind = told(model, b"a\xf0\x9f")
    assert np.flatnonzero(behind > -np.inf).tolist() == list(range(0x80, 0xC0))
    with pytest.raises(InvalidText, match="no UTF-8"):
        told(model, b"a\xf0\x9fb")
    np.testing.assert_array_equal(told(model, b"a\xff"), told(model, b"a"))
    with pytest.raises(InvalidInput, match="cannot be rewound"):
        model.open().rewind(1)


def test_a_batch_of_escapes_equals_each_alone() -> None:
    model = Escaping(random_table(3), mass=MASS)
    texts = [b"ab", "é".encode(), b"", "a猫b".encode()]
    runs = [np.array([START, *text]) for text in texts]
    together = model.extend([model.open()] * len(texts), runs)[1]
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_array_equal(row, told(model, text))


def test_an_ensemble_with_an_escape_keeps_its_member() -> None:
    table, other = random_table(1), Escaping(random_table(4), mass=0.5)
    both = Ensemble((Escaping(table, mass=MASS), other), rule="posterior")
    raw = "aéb".encode()
    (context,), _ = both.extend([both.open()], [np.array([START, *raw])])
    assert all(member is not None for member in context.members)
    for member, model in zip(
        context.members, (Escaping(table, mass=MASS), other), strict=True
    ):
        total = spelled(model, raw)
        assert member is not None
        assert member.log_kept == pytest.approx(total, rel=1e-12)


def test_a_mass_that_is_none_and_a_model_that_cannot_step_are_refused() -> None:
    for mass in (0.0, 1.0, float("nan")):
        with pytest.raises(InvalidInput, match="mass is"):
            Escaping(random_table(0), mass=mass)
    with pytest.raises(CapabilityError):
        Escaping(object())


def rarely_apart() -> Table:
    """Tokens a, b and ab; a alone is so rare that it is pruned."""
    ids = Vocabulary.of(
        (b"a", b"b", b"ab", b" ", b"", b""), control={4: "<end>", 5: "<start>"}, end=[4]
    )
    with np.errstate(divide="ignore"):
        row = np.log(np.array([0.002, 0.1, 0.698, 0.1, 0.1, 0.0]))
    return Table("table:apart", ids, {(): row}, "x")


def test_what_is_only_pruned_is_not_taken_for_unwritable() -> None:
    table = rarely_apart()
    model = Escaping(table, mass=MASS, prune=0.05)
    run = np.array([START, *"aaé".encode()])
    (context,), _ = model.extend([model.open()], [run[:3]])
    assert context.escaped == 0
    assert np.exp(context.row).sum() == pytest.approx(1.0, abs=1e-12)
    (context,), _ = model.extend([context], [run[3:]])
    assert context.escaped == 2
    view = ByteView(table, prune=0.05)
    waits = view.extend([view.open()], [run[:2]])[1][0]  # a alone was set aside
    assert np.isfinite(waits[:256]).all()
    np.testing.assert_array_equal(told(model, b"a"), waits)
    both = Rejoining(Ensemble((view, view)))
    (joined,), _ = both.extend([both.open()], [run[:3]])
    assert joined.silent == (False, False)


@pytest.mark.parametrize("rule", ["mean", "posterior"])
def test_with_pruning_too_rejoining_is_the_ensemble_where_nobody_is_silent(
    rule: str,
) -> None:
    pruned = [ByteView(rarely_apart(), prune=0.05), ByteView(ALL, prune=0.05)]
    ensemble = Ensemble(pruned, rule=rule)
    for text in (b"a", b"aa", b"aab", b"ab a"):
        run = np.array([START, *text])
        row = ensemble.extend([ensemble.open()], [run])[1][0]
        np.testing.assert_allclose(told(Rejoining(ensemble), text), row, rtol=1e-12)


LETTERS = (b"a", b" ", b"b", b"\xc3", b"\xa9", b"")


def letters(*p: float) -> Table:
    """One byte a token, always the same probabilities: of a, space, b, two bytes."""
    ids = Vocabulary.of((*LETTERS, b""), control={5: "<end>", 6: "<start>"}, end=[5])
    with np.errstate(divide="ignore"):
        row = np.log(np.array([*p, 0.0]))
    return Table(f"letters {p}", ids, {(): row}, f"{p}")


ALL = letters(0.3, 0.2, 0.1, 0.15, 0.15, 0.1)
NO_B = letters(0.5, 0.3, 0.0, 0.1, 0.0, 0.1)


def test_members_that_can_write_everything_are_the_ensemble() -> None:
    ensemble = Ensemble((ALL, letters(0.1, 0.2, 0.3, 0.2, 0.1, 0.1)), rule="posterior")
    both = Rejoining(ensemble)
    for text in (b"", b"ab a", "é b".encode()):
        run = np.array([START, *text])
        row = ensemble.extend([ensemble.open()], [run])[1][0]
        np.testing.assert_allclose(told(both, text), row, rtol=1e-12)


def test_a_silent_member_is_heard_again_from_the_next_space() -> None:
    both = Rejoining(Ensemble((ALL, NO_B), rule="mean", weights=(1, 3)))
    first, second = (np.exp(model.rows[()]) for model in (ALL, NO_B))
    for text, heard in ((b"a", True), (b"ab", False), (b"aba", False), (b"ab ", True)):
        row = np.exp(told(both, text)[list(b"a b")])
        shares = 0.25 * first[:3] + 0.75 * second[:3] if heard else first[:3]
        np.testing.assert_allclose(row, shares, rtol=1e-12)


def test_a_character_that_breaks_off_within_is_given_back_whole() -> None:
    """The second member can begin é, and has to forget its first byte."""
    both = Rejoining(Ensemble((ALL, NO_B)))
    run = np.array([START, *"aé".encode()])
    (context,), _ = both.extend([both.open()], [run])
    assert context.silent == (False, True)
    waiting = context.waiting[1]
    assert waiting is not None
    assert waiting.symbols == (START, ord("a"))


def test_the_weight_of_a_silent_member_stays_by_the_posterior_rule() -> None:
    """Bytes it was silent at count for it as for the ensemble, i.e. for the others."""
    both = Rejoining(Ensemble((ALL, NO_B), rule="posterior"))
    text = b"aba a"
    (context,), _ = both.extend([both.open()], [np.array([START, *text])])
    one, two = (np.exp(model.rows[()]) for model in (ALL, NO_B))
    place = {ord("a"): 0, ord(" "): 1, ord("b"): 2}
    gave = [0.5 * one[0], 0.5 * two[0]]
    for byte in b"ba":  # silent: both gain what the one that is heard gave
        gave = [g * one[place[byte]] for g in gave]
    for byte in b" a":
        gave = [gave[0] * one[place[byte]], gave[1] * two[place[byte]]]
    shares = np.array(gave) / sum(gave)
    np.testing.assert_allclose(context.inner.weights, shares, rtol=1e-10)


@pytest.mark.parametrize("rule", ["mean", "product", "posterior", "switch"])
def test_rejoining_sums_to_one_everywhere_and_rewinds(rule: str) -> None:
    both = Rejoining(Ensemble((ALL, NO_B), rule=rule))
    for text in itertools.chain.from_iterable(
        itertools.product(b"a b", repeat=length) for length in range(3)
    ):
        raw = bytes(text)
        assert np.exp(told(both, raw)).sum() == pytest.approx(1.0, abs=1e-12)
    (context,), row = both.extend([both.open()], [np.array([START, *b"ab a"])])
    (again,), _ = both.extend([context.rewind(3)], [np.array([*b" a"])])
    np.testing.assert_allclose(again.joined, context.joined, rtol=1e-12)
    assert row.shape == (1, 258)
    blocks = list(both.logit_blocks([np.array([START, *b"ab a"])], skip=[1]))
    assert sum(len(block.position) for block in blocks) == 3


def test_an_end_is_read_and_what_nobody_can_write_is_refused() -> None:
    both = Rejoining(Ensemble((ALL, NO_B)))
    (context,), row = both.extend([both.open()], [np.array([START, *b"ab", END])])
    assert row[0, END] == 0.0
    assert context.length == 4
    with pytest.raises(InvalidText, match="can write symbol"):
        both.extend([both.open()], [np.array([START, *b"x"])])
    assert both.origin.decoding["unwritable"] == "suspend"
    assert Escaping(ALL).origin.decoding["escape_mass"] == 1e-4
