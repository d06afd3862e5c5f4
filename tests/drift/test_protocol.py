"""The long-generation protocol: clean cuts, runs that stop and go on the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import nescio
from nescio.drift.continuations import Continuations
from nescio.drift.protocol import (
    ContinuationPlan,
    continue_documents,
    read_continuations,
    starts_of,
)
from nescio.errors import (
    CapabilityError,
    ContextOverflow,
    InvalidInput,
    NotEnoughData,
    SchemaError,
)
from nescio.jobs import held
from nescio.models.vocabulary import Vocabulary
from tests.drift.tables import make_table, random_table, texts_of

PLAN = ContinuationPlan(3, 8, seed=7, batch=2)


@pytest.fixture(scope="module")
def model():
    return random_table(11, tokens="abc", order=1)


@pytest.fixture(scope="module")
def documents(model):
    return texts_of(model, texts=5, length=11)


def same(one: Continuations, other: Continuations) -> bool:
    return (one.own, one.human) == (other.own, other.human)


def test_own_text_continues_the_prompt_and_human_text_is_the_document(
    model, documents
) -> None:
    found = continue_documents(model, documents, plan=PLAN)
    assert found.names == tuple(documents)
    for name, own, human in zip(found.names, found.own, found.human, strict=True):
        assert human.text == documents[name]
        assert own.text.startswith(documents[name][:3])
        assert len(own) == len(human) == 11
        assert (own.segment == human.segment).all()
        whole = nescio.score(model, documents[name])
        np.testing.assert_array_equal(human.logp, whole.logp)
    assert found.plain
    assert found.settings["prompts"] == 5


def test_each_prompt_has_its_own_numbers_whatever_runs_beside_it(
    model, documents
) -> None:
    one = continue_documents(model, documents, plan=PLAN)
    other = continue_documents(model, documents, plan=replace(PLAN, batch=5))
    for mine, theirs in zip(one.own, other.own, strict=True):
        assert mine.token_ids.tolist() == theirs.token_ids.tolist()
    again = continue_documents(model, documents, plan=replace(PLAN, seed=8))
    assert any(
        a.token_ids.tolist() != b.token_ids.tolist()
        for a, b in zip(one.own, again.own, strict=True)
    )


@pytest.mark.parametrize("stopped_after", [1, 2, 3, 4])
def test_a_run_that_is_stopped_goes_on_to_the_same_files(
    model, documents, tmp_path: Path, stopped_after: int
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = continue_documents(model, documents, plan=PLAN, out=whole)
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == stopped_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        continue_documents(model, documents, plan=PLAN, out=broken, progress=stop)
    with pytest.raises(InvalidInput, match="not finished"):
        read_continuations(broken)
    found = continue_documents(model, documents, plan=PLAN, out=broken)
    assert same(found, expected)
    assert same(found, continue_documents(model, documents, plan=PLAN))
    files = sorted(path.name for path in whole.glob("*.parquet"))
    assert len(files) == 6
    for name in files:
        assert (whole / name).read_bytes() == (broken / name).read_bytes()
    assert same(read_continuations(broken), expected)


def test_what_is_finished_is_not_run_again(model, documents, tmp_path: Path) -> None:
    class Counting:
        """The model, counting what it is asked."""

        calls = 0

        def __getattr__(self, name):
            return getattr(model, name)

        def open(self):
            return model.open()

        def extend(self, contexts, tokens):
            Counting.calls += 1
            return model.extend(contexts, tokens)

        def logit_blocks(self, sequences, **how):
            Counting.calls += 1
            return model.logit_blocks(sequences, **how)

        def encode(self, text):
            return model.encode(text)

    counting = Counting()
    for name in ("vocabulary", "context_length", "start", "name", "origin"):
        setattr(counting, name, getattr(model, name))
    seen = []
    continue_documents(counting, documents, plan=PLAN, out=tmp_path / "run")
    assert Counting.calls > 0
    Counting.calls = 0
    continue_documents(
        counting,
        documents,
        plan=PLAN,
        out=tmp_path / "run",
        progress=lambda *done: seen.append(done),
    )
    assert Counting.calls == 0
    assert seen == [(2, 10), (4, 10), (6, 10), (8, 10), (9, 10), (10, 10)]


def test_a_directory_keeps_one_run(model, documents, tmp_path: Path) -> None:
    continue_documents(model, documents, plan=PLAN, out=tmp_path / "run")
    changed = dict(documents) | {"0": documents["0"][::-1]}
    for wrong, plan, texts, by in (
        ("plan", replace(PLAN, seed=1), documents, model),
        ("documents", PLAN, changed, model),
        ("model", PLAN, documents, random_table(12, tokens="abc", order=1)),
    ):
        with pytest.raises(InvalidInput, match=f"another job: .*{wrong}"):
            continue_documents(by, texts, plan=plan, out=tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=r"notes\.txt"):
        continue_documents(model, documents, plan=PLAN, out=tmp_path / "other")
    with (
        held(tmp_path / "run"),
        pytest.raises(InvalidInput, match="another process"),
    ):
        continue_documents(model, documents, plan=PLAN, out=tmp_path / "run")


def test_damaged_files_are_named(model, documents, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    continue_documents(model, documents, plan=PLAN, out=folder)
    file = folder / "own-00002.parquet"
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(SchemaError, match="own-00002"):
        continue_documents(model, documents, plan=PLAN, out=folder)
    file.write_bytes((folder / "own-00004.parquet").read_bytes())
    with pytest.raises(SchemaError, match="1 traces, not 2"):
        read_continuations(folder)
    file.unlink()
    continue_documents(model, documents, plan=PLAN, out=folder)
    assert file.read_bytes() == raw
    fields = json.loads((folder / "job.json").read_text())
    for wrong in ({}, {**fields, "names": 3}, {**fields, "schema": 2}):
        (folder / "job.json").write_text(json.dumps(wrong))
        with pytest.raises(SchemaError):
            read_continuations(folder)
    (folder / "job.json").write_text("[")
    with pytest.raises(SchemaError, match=r"job\.json"):
        continue_documents(model, documents, plan=PLAN, out=folder)
    with pytest.raises(InvalidInput, match="no such file"):
        read_continuations(tmp_path / "nowhere")


def test_cuts_are_where_the_beginning_is_cut_as_the_whole_is() -> None:
    model = nescio.load("table:pieces")  # a, b, ab, é in one or two tokens
    found, left_out = starts_of(model, {"x": "aabéabba"}, ContinuationPlan(2, 3))
    ids = model.encode("aabéabba".encode())
    assert [model.vocabulary.token(i).decode() for i in ids] == [
        "a", "ab", "é", "ab", "b", "a",
    ]  # fmt: skip
    assert (found[0].prompt, found[0].text) == ("aab", "aabéabb")
    assert not left_out


def test_no_cut_divides_a_character_or_changes_the_tokens_before_it() -> None:
    table = make_table("ab", {(): [0.5, 0.5]})
    spelled = Vocabulary.of([b"a", b"\xc3", b"\xa9", b""], control={3: "<start>"})
    bytewise = replace(table, vocabulary=spelled)
    found, _ = starts_of(bytewise, {"x": "aéaéaéa"}, ContinuationPlan(2, 3))
    assert (found[0].prompt, found[0].text) == ("a", "aéa")

    class Joining:
        """Cuts texts of four letters otherwise than longer ones."""

        def __getattr__(self, name):
            return getattr(table, name)

        def encode(self, text):
            ids = table.encode(text)
            return ids[::-1].copy() if len(text) == 4 else ids

    text = "abbbabab"
    found, _ = starts_of(Joining(), {"x": text}, ContinuationPlan(4, 2))
    assert found[0].prompt == "abb"
    found, _ = starts_of(Joining(), {"x": text}, ContinuationPlan(3, 1))
    assert found[0].text == "abb"
    _, left_out = starts_of(
        Joining(), {"x": text, "y": "aaaaaaaa"}, ContinuationPlan(1, 3)
    )
    assert "no clean cut" in left_out["x"]


def test_documents_that_are_too_short_are_left_out_and_named(model) -> None:
    found = continue_documents(
        model, {"long": "abcabcabcab", "short": "abc"}, plan=PLAN
    )
    assert found.names == ("long",)
    assert found.left_out == {"short": "3 tokens, 11 are needed"}
    assert found.settings["documents_left_out"] == 1
    with pytest.raises(NotEnoughData, match="3 tokens, 11 are needed"):
        continue_documents(model, {"short": "abc"}, plan=PLAN)
    with pytest.raises(NotEnoughData, match="there are none"):
        continue_documents(model, {}, plan=PLAN)


def test_what_does_not_fit_is_refused(model) -> None:
    class Short:
        """The model with a short context."""

        context_length = 11

        def __getattr__(self, name):
            return getattr(model, name)

    with pytest.raises(ContextOverflow, match="12"):
        starts_of(Short(), {"a": "abcabcabcab"}, PLAN)
    with pytest.raises(CapabilityError, match="Stepping"):
        continue_documents(object(), {"a": "abc"})
    with pytest.raises((InvalidInput, TypeCheckError)):
        starts_of(model, ["abc"], PLAN)
    with pytest.raises((InvalidInput, TypeCheckError)):
        starts_of(model, {"a": 3}, PLAN)
    with pytest.raises(InvalidInput, match="steps is 0"):
        ContinuationPlan(3, 0)


def test_own_and_human_text_have_to_be_of_one_model_and_one_prompt(
    model, documents
) -> None:
    found = continue_documents(model, documents, plan=PLAN)
    with pytest.raises(InvalidInput, match="one of each"):
        Continuations(found.names, found.own[:1], found.human)
    with pytest.raises(InvalidInput, match="own text is generated"):
        Continuations(found.names, found.human, found.own)
    with pytest.raises(InvalidInput, match="different prompts"):
        Continuations(found.names, found.own, found.human[::-1])
    other = random_table(11, tokens="xyz", order=1)
    theirs = continue_documents(other, texts_of(other, texts=5, length=11), plan=PLAN)
    with pytest.raises(InvalidInput, match="differ in"):
        Continuations(found.names, theirs.own, found.human)
