"""Model specifications: what they say and what they refuse."""

from __future__ import annotations

import pytest

import nescio
from nescio.errors import InvalidInput, MissingDependency, UnknownModel
from nescio.specification import parse_specification


@pytest.mark.parametrize(
    ("text", "kind", "name", "options"),
    [
        ("smollm2", "catalogue", "smollm2", {}),
        ("smollm2,precision=bf16", "catalogue", "smollm2", {"precision": "bf16"}),
        ("hf:org/name", "hf", "org/name", {}),
        ("table:my file.json", "table", "my file.json", {}),
        (
            "hf:d,start=none,precision=f32",
            "hf",
            "d",
            {"start": "none", "precision": "f32"},
        ),
    ],
)
def test_a_specification_is_a_kind_a_name_and_options(
    text: str, kind: str, name: str, options: dict[str, str]
) -> None:
    found = parse_specification(text)
    assert (found.kind, found.name, found.options) == (kind, name, options)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("gguf:file", UnknownModel, "no kind 'gguf'"),
        ("table:", UnknownModel, "names no model"),
        ("", UnknownModel, "names no model"),
        ("table:coin,x", InvalidInput, "not an option key=value"),
        ("table:coin,a=1,a=2", InvalidInput, "given once"),
        ("table:coin,precision=f32", InvalidInput, "it takes none"),
        ("smollm2,colour=red", InvalidInput, "unknown option 'colour'"),
        ("smollm2,precision=f12", InvalidInput, "unknown precision 'f12'"),
        ("no-such-model", UnknownModel, "no-such-model"),
        ("hf:/no/such/directory", UnknownModel, "cannot be loaded"),
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(
    text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        nescio.load(text)


def test_a_missing_engine_that_was_named_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nescio.models import openvino_runtime

    monkeypatch.setattr(openvino_runtime, "find_spec", lambda _name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'nescio\[local\]'"):
        nescio.load("smollm2", engine="openvino")


def test_an_engine_that_cannot_run_the_model_is_refused_by_name() -> None:
    for engine in ("transformers", "openvino"):
        with pytest.raises(InvalidInput, match=f"'{engine}' cannot run 'table:coin'"):
            nescio.load("table:coin", engine=engine)
    with pytest.raises(InvalidInput, match="runs on 'openvino' or 'transformers'"):
        nescio.load("hf:gpt2", engine="table")
    with pytest.raises(InvalidInput, match="unknown engine 'warp'"):
        nescio.load("table:coin", engine="warp")
