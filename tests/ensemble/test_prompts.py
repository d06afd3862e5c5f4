"""A prompt is read in one pass, its last tokens again in every spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START, ByteContext, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.errors import CapabilityError, ContextOverflow, InvalidInput, InvalidText
from nescio.models.protocol import Rendered
from nescio.models.table import Table, read_table
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Prompt
from tests.ensemble.tables import ended, prefix, random_table


@dataclass(frozen=True, eq=False)
class Counting(Table):
    """A table that tells how many passes it was asked for, and can see so much."""

    sees: int | None = None
    passes: list[int] = field(default_factory=list)

    @property
    def context_length(self) -> int | None:
        return self.sees

    def extend(self, contexts: Any, tokens: Any) -> Any:
        self.passes.append(len(contexts))
        return super().extend(contexts, tokens)

    @staticmethod
    def of(table: Table, sees: int | None = None) -> Counting:
        return Counting(table.name, table.vocabulary, table.rows, table.digest, sees)


@dataclass(frozen=True, eq=False)
class Talking(Table):
    """A table with a chat template: a mark, what is said, another mark."""

    marks: tuple[int, int] = (0, 0)

    @property
    def has_template(self) -> bool:
        return True

    def render(self, prompt: Prompt) -> Rendered:
        said = "".join(message.content for message in prompt.messages)
        ids = [self.marks[0], *self.encode(said.encode()).tolist(), self.marks[1]]
        owners = [-1, *[0] * (len(ids) - 2), -1]
        return Rendered(np.array(ids), np.array(owners), f"marks {self.marks}")


def rows(*probabilities: Sequence[float]) -> list[np.ndarray]:
    with np.errstate(divide="ignore"):
        return [np.log(np.array(p)) for p in probabilities]


def spelled(text: bytes, table: Table) -> tuple[int, ...]:
    return tuple(table.encode(text).tolist())


@pytest.mark.parametrize("seed", range(0, 40, 3))
def test_after_a_prompt_it_says_what_enumeration_behind_its_tokens_says(
    seed: int,
) -> None:
    table = random_table(seed)
    for reopen in (0, 1, 2, 50):
        view = ByteView(table, reopen=reopen)
        for text in (b"", b"a", b"abab"):
            try:
                context = view.begin(text)
            except InvalidText:
                continue
            check_behind(table, context, text)


def check_behind(table: Table, context: ByteContext, text: bytes) -> None:
    """A Markov table says behind tokens what it says from their last one on."""
    assert context.symbols == (START,)
    assert context.log_kept == pytest.approx(0.0, abs=1e-12)
    read = context.prompt
    assert read is not None
    kept = tuple(int(t) for t in read.token_ids if t not in table.start)
    assert table.vocabulary.spell(kept) + read.again == text
    behind = replace(
        table, rows={(): table.row(kept), **{k: v for k, v in table.rows.items() if k}}
    )
    whole = prefix(behind, read.again)
    for byte in b"ab":
        exact = prefix(behind, read.again + bytes([byte])) / whole
        assert np.exp(context.log_masses[byte]) == pytest.approx(exact, rel=1e-12)
    exact = ended(behind, read.again) / whole
    assert np.exp(context.log_masses[END]) == pytest.approx(exact, rel=1e-12)


def test_a_prompt_opened_to_its_start_is_the_text_read_byte_by_byte() -> None:
    table = random_table(5)
    view = ByteView(table, reopen=100)
    (read,), logp = view.extend([view.open()], [np.array([START, *b"abba"])])
    context = view.begin("abba")
    np.testing.assert_allclose(
        context.log_masses - context.log_kept, logp[0, :257], atol=1e-12
    )
    assert context.prompt is not None
    assert context.prompt.log_weight == pytest.approx(read.log_kept)


def test_nothing_at_all_is_the_document_start() -> None:
    view = ByteView(random_table(3))
    (start,), _ = view.extend([view.open()], [np.array([START])])
    np.testing.assert_array_equal(view.begin(b"").log_masses, start.log_masses)


def words() -> Counting:
    """A model that writes " Fran" or " France" as one token, and letters."""
    tokens = [b" Fran", b" France", b"c", b"e", b".", b"of"]
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""], control={6: "<end>", 7: "<start>"}, end=[6]
    )
    base, after = rows(
        [0.1, 0.6, 0.02, 0.02, 0.04, 0.2, 0.02, 0.0],
        [0.0, 0.0, 0.01, 0.01, 0.9, 0.04, 0.04, 0.0],
    )
    return Counting("table:words", vocabulary, {(): base, (0,): after}, "words")


def test_a_prompt_that_ends_within_a_word_opens_its_last_tokens_again() -> None:
    closed = ByteView(words(), reopen=0).begin("of Fran")
    assert chr(int(closed.log_masses.argmax())) == "."
    opened = ByteView(words(), reopen=1).begin("of Fran")
    assert chr(int(opened.log_masses.argmax())) == "c"
    expected = (0.6 + 0.1 * 0.01) / 0.7
    assert np.exp(opened.log_masses[ord("c")]) == pytest.approx(expected)
    assert opened.prompt is not None
    assert opened.prompt.reopened == 1
    assert opened.prompt.again == b" Fran"
    how = ByteView(words(), reopen=1).origin.decoding
    assert how is not None
    assert how["reopened_tokens"] == 1


def test_a_long_prompt_costs_one_pass_and_a_few() -> None:
    model = words()
    ByteView(model).begin("of" * 500 + " France.")
    assert len(model.passes) <= 1 + len(" France.")


def test_a_prompt_may_end_within_a_character() -> None:
    table = random_table(6)
    assert b"\xe7" in [table.vocabulary.token(t) for t in range(table.vocabulary.size)]
    view = ByteView(table, reopen=1)
    context = view.begin(b"ab\xe7")
    assert context.prompt is not None
    assert context.prompt.again.endswith(b"\xe7")
    with pytest.raises(InvalidText, match="byte 1 of the prompt, 0xff"):
        view.begin(b"a\xffb")


def test_what_was_lost_in_a_prompt_loosens_the_bounds_behind_it() -> None:
    loosened = 0
    for seed in range(30):
        table = random_table(seed)
        exact, near = ByteView(table, reopen=9), ByteView(table, reopen=9, prune=0.1)
        try:
            true, pruned = exact.begin("abab"), near.begin("abab")
        except InvalidText:
            continue
        byte = int(pruned.log_masses[:END].argmax())
        if pruned.log_masses[byte] == -np.inf:
            continue
        for _ in range(2):
            low, high = pruned.bounds
            assert low - 1e-12 <= true.log_kept <= high + 1e-12
            distance = np.abs(
                np.exp(true.log_masses - true.log_kept)
                - np.exp(pruned.log_masses - pruned.log_kept)
            ).sum()
            assert distance / 2 <= pruned.doubt + 1e-12
            (true,), _ = exact.extend([true], [np.array([byte])])
            (pruned,), _ = near.extend([pruned], [np.array([byte])])
            byte = int(pruned.log_masses[:END].argmax())
            if pruned.log_masses[byte] == -np.inf:
                break
        loosened += pruned.prompt is not None and pruned.prompt.log_lost > -np.inf
    assert loosened > 3


def talking(letters: str, marks: tuple[str, str]) -> Talking:
    tokens = [letter.encode() for letter in letters]
    size = len(tokens)
    labels = {size: "<end>", size + 1: marks[0], size + 2: marks[1], size + 3: "<s>"}
    vocabulary = Vocabulary.of([*tokens, *[b""] * 4], control=labels, end=[size])
    p = np.append(np.full(size + 1, 1 / (size + 1)), [0.0, 0.0, 0.0])
    (base,) = rows(p)
    (behind,) = rows([0.8, *[0.2 / size] * size, 0.0, 0.0, 0.0])
    table = {(): base, (size + 2,): behind}
    digest = f"{letters}{marks}"
    return Talking(f"table:{letters}", vocabulary, table, digest, (size + 1, size + 2))


def test_each_member_reads_a_conversation_through_its_own_template() -> None:
    one, other = talking("ab<", ("<u>", "<a>")), talking("ba<", ("[I]", "[/I]"))
    both = Ensemble((one, other))
    context = both.begin([{"role": "user", "content": "ab<"}])
    for member, table in zip(context.members, (one, other), strict=True):
        assert member is not None
        assert member.prompt is not None
        assert member.prompt.chat
        assert member.prompt.again == b""
        assert member.prompt.template_digest == f"marks {table.marks}"
        assert member.prompt.token_ids[0] == table.marks[0]
    assert np.exp(context.joined[ord("a")]) == pytest.approx(0.4 + 0.1 / 3)
    (longer,), _ = both.extend([context], [np.array([ord("b")])])
    assert longer.symbols == (START, ord("b"))
    back = longer.rewind(1)
    np.testing.assert_allclose(back.joined, context.joined, atol=1e-12)


def test_a_template_is_used_where_there_is_one_unless_told_otherwise() -> None:
    chatty, plain = talking("ab<", ("<u>", "<a>")), random_table(4)
    both = Ensemble((chatty, plain))
    read = [m.prompt for m in both.begin("ab").members if m is not None]
    assert [one.chat for one in read if one is not None] == [True, False]
    read = [m.prompt for m in both.begin("ab", chat=False).members if m is not None]
    assert [one.chat for one in read if one is not None] == [False, False]
    with pytest.raises(CapabilityError, match="no chat template"):
        both.begin("ab", chat=True)
    with pytest.raises(CapabilityError, match="no chat template"):
        both.begin("ab", system="a")
    assert chatty.render(Prompt.of([{"role": "user", "content": "a"}])).message[1] == 0
    alone = ByteView(chatty).begin("b", system="a")
    assert alone.prompt is not None
    assert alone.prompt.token_ids.tolist() == [4, 0, 1, 5]
    with pytest.raises(InvalidInput, match="among the messages"):
        ByteView(chatty).begin([{"role": "user", "content": "b"}], system="a")
    with pytest.raises(InvalidText, match="ends within a character"):
        ByteView(chatty).begin(b"a\xe7", chat=True)


def test_the_posterior_counts_from_the_prompt_on() -> None:
    one, other = random_table(2), random_table(3)
    both = Ensemble((one, other), rule="posterior", weights=(0.3, 0.7))
    context = both.begin("ab", chat=False)
    np.testing.assert_allclose(context.weights, [0.3, 0.7], atol=1e-12)


def test_a_member_that_cannot_write_the_prompt_has_left() -> None:
    vocabulary = Vocabulary.of([b"z", b""], control={1: "<start>"})
    (row,) = rows([1.0, 0.0])
    foreign = Table("table:z", vocabulary, {(): row}, "z")
    both = Ensemble((random_table(4), foreign))
    context = both.begin("ab", chat=False)
    assert context.members[1] is None
    assert context.weights.tolist() == [1.0, 0.0]
    (longer,), _ = both.extend([context], [np.array([ord("a")])])
    assert longer.rewind(1).members[1] is None
    with pytest.raises(InvalidText, match="cannot write"):
        Ensemble((foreign, foreign)).begin("q", chat=False)


def test_a_prompt_that_fills_the_context_is_refused() -> None:
    model = Counting.of(read_table("coin"), sees=5)
    with pytest.raises(ContextOverflow, match="leaves no room"):
        ByteView(model).begin("HTHTH")
    context = ByteView(model).begin("HTH")
    (context,), _ = ByteView(model).extend([context], [np.array([72])])
    with pytest.raises(ContextOverflow, match="context of table:coin is full"):
        ByteView(model).extend([context], [np.array([72])])


@pytest.mark.local_model
def test_control_tokens_that_a_prompt_spells_stay_text() -> None:
    view = ByteView(nescio.load("smollm2"), prune=0.1)
    said = "<|im_end|><|im_start|>"
    for chat in (False, True):
        context = view.begin(said, chat=chat)
        assert context.prompt is not None
        vocabulary = view.model.vocabulary
        text = vocabulary.spell(context.prompt.token_ids) + context.prompt.again
        assert said.encode() in text
        controls = vocabulary.control[context.prompt.token_ids].sum()
        template = view.model.render(Prompt.of([{"role": "user", "content": "x"}]))
        usual = vocabulary.control[template.token_ids].sum()
        assert controls == (usual if chat else len(view.model.start))
