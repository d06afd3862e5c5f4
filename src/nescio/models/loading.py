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
from nescio.models.fetching import Report
from nescio.models.marian import Translator, read_translator
from nescio.models.openvino import OpenVinoModel
from nescio.models.openvino_cache import Place, place_of
from nescio.models.openvino_loading import Source, load_openvino
from nescio.models.openvino_runtime import check_installed
from nescio.models.quiet import quiet
from nescio.models.rounding import WEIGHTS, round_weights
from nescio.models.self_test import check_head, check_reading
from nescio.models.tokenizer import Tokenizer, tokenizer_of
from nescio.models.transformers import TransformersModel
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["Options", "check_loadable", "load_catalogue", "load_hugging_face"]

_UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError)
_ENDS = (
    "added_tokens.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""Files besides weights and configuration that say which tokens end a text."""
_PRECISIONS = {"f32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Options:
    """How a model is to be loaded.

    Args:
        precision: of the arithmetic, ``f32`` or ``bf16``.
        weights: ``stored`` as they are, or ``int8``: rounded to that, row by row.
        start: the document start, a control token or ``none``; None: the model's own.
        engine: ``openvino``, ``transformers``, or None for the faster of them that can
            run the model; the origin then says why not, where it is the slower one.
        report: told what is being done.
    """

    precision: str = "f32"
    weights: str = "stored"
    start: str | None = None
    engine: str | None = None
    report: Report = lambda _stage, _share: None


def load_catalogue(
    specification: str, name: str, options: Options
) -> TransformersModel | OpenVinoModel | Translator:
    """An installed model of the catalogue.

    Raises:
        CapabilityError: an option that a translator does not have.
    """
    check_loadable(options)
    directory = catalogue.installed_directory(name) or catalogue.get(name)
    manifest = catalogue.verify(name)
    if catalogue.entry(name).files:
        plain = Options(report=options.report)
        if options != plain:
            raise CapabilityError(
                f"{specification}: a translator runs as it is, in f32; leave out "
                "precision, weights, start and the engine"
            )
        return read_translator(directory, name=specification)
    details = (manifest.files["config.json"].sha256,)
    weights = _Weights(str(directory), manifest.digest, details, tuple(manifest.end))
    model = _model(specification, weights, options)
    wanted = [manifest.start] if options.start is None else _named(options.start)
    return replace(model, start=tuple(_ids(model.vocabulary, wanted)))


def load_hugging_face(
    specification: str, name: str, options: Options
) -> TransformersModel | OpenVinoModel:
    """A model from a directory in Hugging Face's layout, or a hub's identifier.

    Only safetensors weights, never code from the repository. A text is conditioned
    on the tokenizer's beginning-of-sequence token, else on its end-of-sequence token,
    unless ``start`` says otherwise; the trace names it.
    """
    check_loadable(options)
    weights = _directory(Path(name)) if Path(name).is_dir() else _on_hub(name)
    model = _model(specification, weights, options)
    if options.start is None:
        return model
    return replace(model, start=tuple(_ids(model.vocabulary, _named(options.start))))


@dataclass(frozen=True)
class _Weights:
    """Where a model lies, its digest, what else its export depends on, its end tokens.

    The details are None where nothing says which weights these are: then the export is
    not kept.
    """

    source: str
    digest: str
    details: tuple[str, ...] | None
    end: tuple[str, ...] = ()
    rounded: str = "stored"

    @property
    def place(self) -> Place | None:
        """Where the export is kept."""
        if self.details is None:
            return None
        rounded = () if self.rounded == "stored" else (f"weights {self.rounded}",)
        return place_of(self.digest, *self.details, *rounded)

    @property
    def origin_digest(self) -> str:
        """Of the weights as they are read."""
        if self.rounded == "stored":
            return self.digest
        return f"{self.digest}, weights rounded to {self.rounded}"


def _directory(directory: Path) -> _Weights:
    digest = _weights_digest(directory)
    details = [
        f"{name} {hashlib.sha256((directory / name).read_bytes()).hexdigest()}"
        for name in _ENDS
        if (directory / name).is_file()
    ]
    return _Weights(str(directory), digest, tuple(details))


def _on_hub(name: str) -> _Weights:
    """A hub's model: which one it is, only its commit says."""
    from transformers import AutoConfig

    with _reading(name) as options:
        config = AutoConfig.from_pretrained(name, **options)
    commit = getattr(config, "_commit_hash", None)
    if commit is None:
        return _Weights(name, "commit unknown", None)
    return _Weights(name, f"commit {commit}", (name,))


def _model(
    specification: str, weights: _Weights, options: Options
) -> TransformersModel | OpenVinoModel:
    weights = replace(weights, rounded=options.weights)
    if options.engine == "transformers":
        return _built(specification, weights, options.precision)
    if options.engine is None and find_spec("openvino") is None:
        return _built(specification, weights, options.precision)
    try:
        return _on_openvino(specification, weights, options)
    except CapabilityError as refusal:
        if options.engine is not None:
            raise
        reason = str(refusal)
    model = _built(specification, weights, options.precision)
    engine = f"{model.origin.engine}; not openvino: {reason}"
    return replace(model, origin=replace(model.origin, engine=engine))


def _on_openvino(
    specification: str, weights: _Weights, options: Options
) -> OpenVinoModel:
    hf_tokenizer = _hf_tokenizer(weights)

    def tokenizer(rows: int, end: tuple[int, ...]) -> Tokenizer:
        return tokenizer_of(hf_tokenizer, rows, end=end)

    source = Source(
        name=specification,
        digest=weights.origin_digest,
        place=weights.place,
        reference=lambda: _built(specification, weights, "f32"),
        tokenizer=tokenizer,
        start=_start(hf_tokenizer),
    )
    return load_openvino(source, precision=options.precision, report=options.report)


def _built(specification: str, weights: _Weights, precision: str) -> TransformersModel:
    import torch
    import transformers

    network = _network(weights.source, getattr(torch, _PRECISIONS[precision]))
    if network.dtype != getattr(torch, _PRECISIONS[precision]):
        raise CapabilityError(
            f"{specification}: asked for {precision}, but the weights were loaded as "
            f"{network.dtype}"
        )
    if weights.rounded == "int8":
        round_weights(network)
    hf_tokenizer = _hf_tokenizer(weights)
    rows = network.get_output_embeddings().weight.shape[0]
    named = [hf_tokenizer.convert_tokens_to_ids(token) for token in weights.end]
    ends = tuple(named) or _default_end(network, hf_tokenizer)
    tokenizer = tokenizer_of(hf_tokenizer, rows, end=ends)
    engine = f"transformers {transformers.__version__}, torch {torch.__version__}"
    origin = Origin(
        specification, weights.origin_digest, tokenizer.digest, engine, precision
    )
    model = TransformersModel(
        specification, origin, tokenizer, _start(hf_tokenizer), network
    )
    if weights.end:
        check_head(model)
    else:
        check_reading(model)
    if not model.padded.any():
        return model
    engine += f", {int(model.padded.sum())} padded rows masked"
    return replace(model, origin=replace(origin, engine=engine))


def _start(hf_tokenizer: Any) -> tuple[int, ...]:
    begin = [hf_tokenizer.bos_token_id, hf_tokenizer.eos_token_id]
    return tuple(token for token in begin if token is not None)[:1]


def _hf_tokenizer(weights: _Weights) -> Any:
    """Hugging Face's tokenizer; of the catalogue's models without loading torch."""
    if weights.end:
        from transformers import PreTrainedTokenizerFast as Kind
    else:
        from transformers import AutoTokenizer as Kind
    with _reading(weights.source) as options:
        return Kind.from_pretrained(weights.source, **options)


def _network(source: str, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    with _reading(source) as options:
        network, report = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    _check_complete(source, report)
    return network.eval()


@contextmanager
def _reading(source: str) -> Iterator[dict[str, Any]]:
    """How transformers is to read from a source, and what it may refuse there."""
    from safetensors import SafetensorError

    options: dict[str, Any] = {"trust_remote_code": False}
    if Path(source).is_dir():
        options["local_files_only"] = True
    try:
        with quiet():
            yield options
    except (*_UNREADABLE, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UnknownModel(
            f"{source!r} cannot be loaded as a transformers model: {reason}"
        ) from error


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
    """SHA-256 over weights and configuration."""
    digest = hashlib.sha256()
    files = (*directory.glob("*.safetensors"), directory / "config.json")
    for path in sorted(file for file in files if file.is_file()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def check_loadable(options: Options) -> None:
    """Refuse what could never be loaded, before anything is fetched.

    Raises:
        InvalidInput: an unknown precision.
        MissingDependency: torch, transformers or the engine asked for is missing.
    """
    if options.precision not in _PRECISIONS:
        raise InvalidInput(
            f"unknown precision {options.precision!r}: one of {', '.join(_PRECISIONS)}"
        )
    if options.weights not in WEIGHTS:
        raise InvalidInput(
            f"unknown weights {options.weights!r}: one of {', '.join(WEIGHTS)}"
        )
    if options.engine == "openvino":
        check_installed()
    for library in ("torch", "transformers"):
        if find_spec(library) is None:
            raise MissingDependency(
                f"local models need {library}: pip install 'nescio[local]'"
            )
