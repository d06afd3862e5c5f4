"""Loading transformers models: from the catalogue, a directory, or a hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput, MissingDependency, UnknownModel
from nescio.models import catalogue
from nescio.models.tokenizer import tokenizer_of
from nescio.models.transformers import TransformersModel
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["check_loadable", "load_catalogue", "load_hugging_face"]

_PRECISIONS = {"f32": "float32", "bf16": "bfloat16"}


def load_catalogue(
    specification: str, name: str, *, precision: str, start: str | None
) -> TransformersModel:
    """An installed model of the catalogue."""
    check_loadable(precision)
    directory = catalogue.installed_directory(name) or catalogue.get(name)
    manifest = catalogue.manifest(directory)
    weights = _Weights(str(directory), manifest.digest, tuple(manifest.end))
    model = _built(specification, weights, precision)
    wanted = [manifest.start] if start is None else _named(start)
    return replace(model, start=tuple(_ids(model.vocabulary, wanted)))


def load_hugging_face(
    specification: str, name: str, *, precision: str, start: str | None
) -> TransformersModel:
    """A model from a directory in Hugging Face's layout, or a hub's identifier.

    Only safetensors weights, never code from the repository. A text is conditioned
    on the tokenizer's beginning-of-sequence token, else on its end-of-sequence token,
    unless ``start`` says otherwise; the trace names it.
    """
    check_loadable(precision)
    weights = _Weights(name, _weights_digest(Path(name)))
    model = _built(specification, weights, precision)
    wanted = _default_start(name) if start is None else _named(start)
    return replace(model, start=tuple(_ids(model.vocabulary, wanted)))


@dataclass(frozen=True)
class _Weights:
    """Where a model lies, its digest, and the end tokens a catalogue names."""

    source: str
    digest: str
    end: tuple[str, ...] = ()


def _built(specification: str, weights: _Weights, precision: str) -> TransformersModel:
    import torch
    import transformers

    hf_tokenizer, network = _loaded(
        weights.source, getattr(torch, _PRECISIONS[precision])
    )
    rows = network.get_output_embeddings().weight.shape[0]
    named = [hf_tokenizer.convert_tokens_to_ids(token) for token in weights.end]
    ends = tuple(named) or _default_end(network, hf_tokenizer)
    tokenizer = tokenizer_of(hf_tokenizer, rows, end=ends)
    version = f"transformers {transformers.__version__}, torch {torch.__version__}"
    model = TransformersModel(
        specification,
        Origin(specification, weights.digest, tokenizer.digest, version, precision),
        tokenizer,
        (),
        network,
    )
    model.self_test()
    return model


def _loaded(source: str, dtype: Any) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    options: dict[str, Any] = {"trust_remote_code": False}
    if Path(source).is_dir():
        options["local_files_only"] = True
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        network = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, use_safetensors=True, **options
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UnknownModel(
            f"{source!r} cannot be loaded as a transformers model: {reason}"
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
    return tokenizer, network.eval()


def _default_end(network: Any, tokenizer: Any) -> tuple[int, ...]:
    ends: list[int] = []
    for owner in (network.generation_config, network.config, tokenizer):
        found = getattr(owner, "eos_token_id", None)
        ends += [found] if isinstance(found, int) else list(found or ())
    return tuple(sorted(set(ends)))


def _default_start(source: str) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    token = tokenizer.bos_token or tokenizer.eos_token
    return [token] if token else []


def _named(start: str) -> list[str]:
    return [] if start == "none" else [start]


def _ids(vocabulary: Vocabulary, names: Iterable[str]) -> list[int]:
    known = {label: token for token, label in vocabulary.labels.items()}
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"{name!r} is not a control token of this model; it has "
                f"{', '.join(sorted(known)[:12])} …"
            )
    return [known[name] for name in names]


def _weights_digest(directory: Path) -> str:
    """SHA-256 over weights and configuration; over the name of a hub's identifier."""
    digest = hashlib.sha256(b"" if directory.is_dir() else str(directory).encode())
    files = (*directory.glob("*.safetensors"), directory / "config.json")
    for path in sorted(file for file in files if file.is_file()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def check_loadable(precision: str) -> None:
    """Refuse what could never be loaded, before anything is fetched.

    Raises:
        InvalidInput: an unknown precision.
        MissingDependency: torch or transformers is not installed.
    """
    if precision not in _PRECISIONS:
        raise InvalidInput(
            f"unknown precision {precision!r}: one of {', '.join(_PRECISIONS)}"
        )
    for library in ("torch", "transformers"):
        if find_spec(library) is None:
            raise MissingDependency(
                f"local models need {library}: pip install 'nescio[local]'"
            )
