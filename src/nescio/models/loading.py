"""Loading transformers models: from the catalogue, a directory, or a hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nescio.errors import CapabilityError, InvalidInput, MissingDependency, UnknownModel
from nescio.models import catalogue
from nescio.models.self_test import check_head, check_reading
from nescio.models.tokenizer import tokenizer_of
from nescio.models.transformers import TransformersModel
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["check_loadable", "load_catalogue", "load_hugging_face"]

_UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError)
_PRECISIONS = {"f32": "float32", "bf16": "bfloat16"}


def load_catalogue(
    specification: str, name: str, *, precision: str, start: str | None
) -> TransformersModel:
    """An installed model of the catalogue."""
    check_loadable(precision)
    directory = catalogue.installed_directory(name) or catalogue.get(name)
    manifest = catalogue.verify(name)
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
    if start is None:
        return model
    return replace(model, start=tuple(_ids(model.vocabulary, _named(start))))


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
    if network.dtype != getattr(torch, _PRECISIONS[precision]):
        raise CapabilityError(
            f"{specification}: asked for {precision}, but the weights were loaded as "
            f"{network.dtype}"
        )
    rows = network.get_output_embeddings().weight.shape[0]
    named = [hf_tokenizer.convert_tokens_to_ids(token) for token in weights.end]
    ends = tuple(named) or _default_end(network, hf_tokenizer)
    tokenizer = tokenizer_of(hf_tokenizer, rows, end=ends)
    engine = f"transformers {transformers.__version__}, torch {torch.__version__}"
    commit = getattr(network.config, "_commit_hash", None)
    digest = weights.digest or f"commit {commit or 'unknown'}"
    origin = Origin(specification, digest, tokenizer.digest, engine, precision)
    begin = [hf_tokenizer.bos_token_id, hf_tokenizer.eos_token_id]
    start = tuple(token for token in begin if token is not None)[:1]
    model = TransformersModel(specification, origin, tokenizer, start, network)
    if weights.end:
        check_head(model)
    else:
        check_reading(model)
    if not model.padded.any():
        return model
    engine += f", {int(model.padded.sum())} padded rows masked"
    return replace(model, origin=replace(origin, engine=engine))


def _loaded(source: str, dtype: Any) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"trust_remote_code": False}
    if Path(source).is_dir():
        options["local_files_only"] = True
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            network, report = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (*_UNREADABLE, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UnknownModel(
            f"{source!r} cannot be loaded as a transformers model: {reason}"
        ) from error
    _check_complete(source, report)
    return tokenizer, network.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and load reports of transformers; what matters is refused."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _check_complete(source: str, report: Mapping[str, Any]) -> None:
    """Refuse weights that would be made up or left out."""
    for problem in ("missing_keys", "mismatched_keys", "error_msgs"):
        found = [str(name) for name in report.get(problem) or ()]
        if found:
            raise UnknownModel(
                f"{source!r} does not hold the weights of its configuration: "
                f"{problem.replace('_', ' ')} {', '.join(sorted(found)[:3])}"
            )


def _default_end(network: Any, tokenizer: Any) -> tuple[int, ...]:
    ends: list[int] = []
    for owner in (network.generation_config, network.config, tokenizer):
        found = getattr(owner, "eos_token_id", None)
        ends += [found] if isinstance(found, int) else list(found or ())
    return tuple(sorted(set(ends)))


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
    """SHA-256 over weights and configuration; empty for a hub's identifier."""
    if not directory.is_dir():
        return ""
    digest = hashlib.sha256()
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
