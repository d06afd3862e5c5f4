"""Specifications of ensembles: what they say, what they refuse, the way back."""

from __future__ import annotations

import pytest

import nescio
from nescio.ensemble.byte_view import ByteView
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.naming import member_names, name_of, weights_from, written
from nescio.errors import CapabilityError, InvalidInput, UnknownModel
from nescio.specification import parse_specification
from nescio.trace.symbols import BYTES_DIGEST


def test_an_ensemble_is_its_members_and_their_options() -> None:
    found = nescio.load("ensemble:table:pieces+table:topics,rule=product,weights=3+1")
    assert isinstance(found, Ensemble)
    assert [view.model.name for view in found.members] == [
        "table:pieces",
        "table:topics",
    ]
    assert (found.rule, tuple(found.weights)) == ("product", (0.75, 0.25))


def test_brackets_keep_a_members_options_and_signs_together() -> None:
    text = "ensemble:[smollm2,precision=bf16]+[hf:a+b,start=none]+c,rule=mean,prune=0"
    found = parse_specification(text)
    assert found.options == {"rule": "mean", "prune": "0"}
    names = member_names(found.name)
    assert names == ("smollm2,precision=bf16", "hf:a+b,start=none", "c")
    assert written("ensemble", names, found.options) == text


def test_bytes_is_one_model_read_byte_by_byte() -> None:
    found = nescio.load("bytes:table:pieces,spelling=canonical,prune=.05")
    assert isinstance(found, ByteView)
    assert (found.spelling, found.prune) == ("canonical", 0.05)
    assert nescio.load("bytes:table:pieces").prune > 0.0


@pytest.mark.parametrize(
    "text",
    [
        "ensemble:table:pieces+table:topics,rule=mean",
        "ensemble:table:pieces+table:topics,rule=power:0.5,weights=0.75+0.25",
        "ensemble:table:pieces+table:topics+table:coin,rule=switch",
        "ensemble:table:pieces+table:topics,rule=posterior,prune=0.05",
        "ensemble:[bytes:table:pieces,prune=0.5]+table:topics,rule=min",
        "bytes:table:pieces",
        "bytes:table:pieces,prune=0.05,spelling=canonical",
        "bytes:table:pieces,prune=0.0",
    ],
)
def test_a_name_loads_what_it_names(text: str) -> None:
    found = nescio.load(text)
    assert name_of(found) == text
    again = nescio.load(name_of(found))
    assert again.origin.decoding == found.origin.decoding


def test_a_model_named_twice_is_loaded_once_and_one_of_weight_0_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nescio import specification

    loaded: list[str] = []
    plain = specification.load

    def counting(name: str, **how: object) -> object:
        loaded.append(name)
        return plain(name, **how)

    monkeypatch.setattr(specification, "load", counting)
    plain("ensemble:table:coin+table:coin+table:none.json,weights=1+1+0")
    assert loaded == ["table:coin"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("ensemble:table:coin+no-such-model", UnknownModel, "no-such-model"),
        ("ensemble:table:coin+gguf:x", UnknownModel, "no kind 'gguf'"),
        ("ensemble:table:coin+", InvalidInput, "empty member"),
        ("ensemble:", UnknownModel, "names no model"),
        ("ensemble:[table:coin", InvalidInput, "brackets do not match"),
        ("ensemble:table:coin]+[a", InvalidInput, "brackets do not match"),
        (
            "ensemble:table:no.json+table:coin,rule=median",
            InvalidInput,
            "rule is 'median'",
        ),
        ("ensemble:table:coin+table:coin,weights=0+0", InvalidInput, "not all of them"),
        ("ensemble:table:coin+table:coin,weights=1", InvalidInput, "1 weights for 2"),
        ("ensemble:table:coin+table:coin,weights=1/2", InvalidInput, "joined by +"),
        ("ensemble:table:coin,precision=f32", InvalidInput, "stand in brackets"),
        ("ensemble:table:coin,prune=much", InvalidInput, "a share in"),
        ("ensemble:table:coin,prune=2", InvalidInput, "prune is 2"),
        ("ensemble:table:coin,spelling=odd", InvalidInput, "spelling is 'odd'"),
        ("ensemble:[ensemble:a+b]+table:coin", InvalidInput, "cannot be a member"),
        ("bytes:[bytes:table:coin]", InvalidInput, "cannot be a member"),
        ("bytes:table:coin+table:coin", InvalidInput, "several are ensemble"),
        ("ensemble:table:coin+http://h/v1#x", CapabilityError, "is a server"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_loaded(
    text: str, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nescio import specification

    monkeypatch.setattr(specification, "_table", lambda _found: pytest.fail("loaded"))
    with pytest.raises(error, match=words):
        nescio.load(text)


def test_a_model_that_cannot_be_read_byte_by_byte_is_refused_by_name() -> None:
    class Silent:
        name = "silent"

    with pytest.raises(CapabilityError, match="silent"):
        ByteView(Silent())
    with pytest.raises(InvalidInput, match="weights are"):
        weights_from("a+b")


def test_the_vocabulary_of_bytes_is_known_by_its_digest() -> None:
    found = nescio.load("bytes:table:coin")
    assert found.vocabulary.digest == BYTES_DIGEST
    assert found.origin.symbol == "byte"
    assert nescio.load("ensemble:table:coin+table:coin").origin.symbol == "byte"
    assert nescio.load("table:coin").origin.symbol == "token"
