"""Texts to vectors that are near where the texts mean much the same.

A sentence encoder is a network whose last hidden rows are averaged over the tokens of
a text (mean pooling). Only safetensors weights are read, and only encoders that pool
so. What is loaded is tested: a text has one vector, whatever it is read with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from nescio.errors import CapabilityError, InvalidInput, MissingDependency, UnknownModel
from nescio.models.fetching import Report, sha256_of
from nescio.models.quiet import quiet
from nescio.strings import well_formed

__all__ = ["Embeds", "SentenceEncoder", "check_encoder", "read_encoder"]

_BATCH = 32
_CHARACTERS = 64  # of a text that are looked at, for each token there is room for
_TOLERANCE = 1e-4
_WEIGHTS = "model.safetensors"
_NEEDED = ("config.json", "tokenizer.json", _WEIGHTS)
_OTHERS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.h5", "*.msgpack", "*.gguf")
_PARTS = ("Transformer", "Pooling", "Normalize")
_PROBES = (
    "The cat is sleeping on the sofa.",
    "A cat sleeps on the couch",
    "Interest rates rose again last month, and the banks were slow to follow.",
)


@runtime_checkable
class Embeds(Protocol):
    """What turns texts into vectors; anything of one's own may."""

    @property
    def name(self) -> str:
        """What it is called, in recipes."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides a vector, as JSON values."""
        ...

    def vectors(self, texts: Sequence[str]) -> Float[np.ndarray, "n dimensions"]:
        """The vector of each text; none of them zero."""
        ...


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """A network with mean pooling. Use `nescio.models.encoders.encoder`.

    Args:
        name: what it was loaded from.
        digest: SHA-256 over its weights, configuration and tokenizer.
        network: of transformers, in single precision.
        tokenizer: of tokenizers; its control tokens are never spelled from text.
        longest: tokens that are read of a text; what follows is not looked at.
        padding: the id of the token that fills up short texts.
    """

    name: str
    digest: str
    network: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    longest: int
    padding: int = 0
    known: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides a vector, as JSON values."""
        return {
            "encoder": self.name,
            "digest": self.digest,
            "pooling": "mean",
            "longest": self.longest,
            "precision": "f32",
        }

    def vectors(self, texts: Sequence[str]) -> Float[np.ndarray, "n dimensions"]:
        """The vector of each text, of length 1; each different text is read once.

        Args:
            texts: at least one. Of a long one the first tokens are read.

        Raises:
            InvalidInput: no texts, or one text in place of a list.
        """
        if isinstance(texts, str) or not len(texts):
            raise InvalidInput("give a list of texts, at least one")
        new = sorted(set(texts) - self.known.keys(), key=lambda text: (len(text), text))
        for begin in range(0, len(new), _BATCH):
            some = new[begin : begin + _BATCH]
            self.known.update(zip(some, self._read(some), strict=True))
        return np.stack([self.known[text] for text in texts])

    def _read(self, texts: Sequence[str]) -> Float[np.ndarray, "n dimensions"]:
        import torch

        seen = [well_formed(text[: self.longest * _CHARACTERS]) for text in texts]
        rows = [one.ids for one in self.tokenizer.encode_batch(seen)]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.padding, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        with torch.inference_mode():
            hidden = self.network(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return torch.nn.functional.normalize(mean, dim=1).numpy().astype(np.float32)


def read_encoder(
    directory: Path, *, name: str, report: Report | None = None
) -> SentenceEncoder:
    """A sentence encoder from a directory in the layout of sentence-transformers.

    Args:
        directory: with config.json, tokenizer.json and model.safetensors; where
            modules.json and the folder of the pooling are there, they are heeded.
        name: what it is called.
        report: told what is being done.

    Raises:
        UnknownModel: a file is missing or damaged; weights of another format, which
            are not read because reading them may run code.
        CapabilityError: another pooling, further layers, or vectors that fail the test.
        MissingDependency: torch or transformers is not installed.
    """
    for library in ("torch", "transformers"):
        if find_spec(library) is None:
            raise MissingDependency(
                f"embeddings need {library}: pip install 'nescio[local]'"
            )
    _check_files(directory)
    _check_layers(directory)
    if report is not None:
        report(f"loading {name}", None)
    fields = _json(directory / "config.json")
    tokenizer, longest = _tokenizer(directory, fields)
    made = SentenceEncoder(
        name,
        _digest(directory),
        _network(directory),
        tokenizer,
        longest,
        int(fields.get("pad_token_id") or 0),
    )
    check_encoder(made)
    return made


def check_encoder(made: Embeds) -> None:
    """Test that a text has one vector, and that near ones are of like texts.

    Raises:
        CapabilityError: saying which of the two is not so.

    Example:
        >>> class Lengths:
        ...     name, settings = "lengths", {}
        ...     def vectors(self, texts):
        ...         return np.array([[1.0, len(text)] for text in texts])
        >>> check_encoder(Lengths())
        Traceback (most recent call last):
        nescio.errors.CapabilityError: lengths: two sentences of one meaning are no...
    """
    fresh = getattr(made, "known", {})
    together = made.vectors(_PROBES)
    fresh.clear()
    alone = np.concatenate([made.vectors([probe]) for probe in _PROBES])
    apart = float(np.abs(together - alone).max())
    if not apart <= _TOLERANCE:
        raise CapabilityError(
            f"{made.name}: the vector of a text changes by {apart:.2g} with the texts "
            "it is read with; its padding is not masked"
        )
    unit = together / np.linalg.norm(together, axis=1, keepdims=True)
    near, far = float(unit[0] @ unit[1]), float(unit[0] @ unit[2])
    if not near > far + 0.1:
        raise CapabilityError(
            f"{made.name}: two sentences of one meaning are no nearer (cosine "
            f"{near:.2f}) than two of different ones ({far:.2f}): it is no sentence "
            "encoder with mean pooling"
        )


def _check_files(directory: Path) -> None:
    if not directory.is_dir():
        raise UnknownModel(f"{directory} is no directory of a sentence encoder")
    missing = [name for name in _NEEDED if not (directory / name).is_file()]
    others = [path.name for kind in _OTHERS for path in sorted(directory.glob(kind))]
    if _WEIGHTS in missing and others:
        raise UnknownModel(
            f"{directory} has no {_WEIGHTS} but {others[0]}, which is not read: "
            "pickled weights run code when they are loaded, and the other formats are "
            f"not known here; convert it to {_WEIGHTS} with the program it comes from"
        )
    if missing:
        raise UnknownModel(
            f"{directory} is no directory of a sentence encoder: it lacks "
            f"{', '.join(missing)}"
        )


def _check_layers(directory: Path) -> None:
    """Refuse what sentence-transformers would do and we would not."""
    modules = directory / "modules.json"
    named = _json(modules) if modules.is_file() else []
    kinds = [str(one.get("type", "")).rsplit(".", 1)[-1] for one in named]
    strange = [kind for kind in kinds if kind not in _PARTS]
    if strange:
        raise CapabilityError(
            f"{directory} has a layer {strange[0]!r} beside {', '.join(_PARTS)}: its "
            "vectors would be others"
        )
    pooling = directory / "1_Pooling" / "config.json"
    if not pooling.is_file():
        return
    chosen = [
        key.removeprefix("pooling_mode_")
        for key, value in _json(pooling).items()
        if key.startswith("pooling_mode_") and value is True
    ]
    if chosen != ["mean_tokens"]:
        raise CapabilityError(
            f"{directory} pools by {', '.join(chosen) or 'nothing'}: only the mean of "
            "the tokens is computed here"
        )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnknownModel(f"{path} cannot be read: {error}") from error


def _tokenizer(directory: Path, fields: Mapping[str, Any]) -> tuple[Any, int]:
    """The tokenizer, and how many tokens are read of a text."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # tokenizers raises this class itself
        raise UnknownModel(
            f"{directory / 'tokenizer.json'} is no tokenizer: {error}"
        ) from error
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # what a text spells stays text
    settings = directory / "sentence_bert_config.json"
    own = _json(settings).get("max_seq_length") if settings.is_file() else None
    longest = int(own or fields.get("max_position_embeddings") or 512)
    tokenizer.enable_truncation(longest)
    return tokenizer, longest


def _network(directory: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel

    try:
        with quiet():
            network, found = AutoModel.from_pretrained(
                str(directory),
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UnknownModel(f"{directory} cannot be loaded: {reason}") from error
    lacking = [
        str(key)
        for kind in ("missing_keys", "mismatched_keys")
        for key in found.get(kind) or ()
        if not str(key).startswith("pooler.")  # which mean pooling does not use
    ]
    if lacking:
        raise UnknownModel(
            f"{directory} does not hold the weights of its configuration: "
            f"{', '.join(sorted(lacking)[:3])}"
        )
    return network.eval()


def _digest(directory: Path) -> str:
    hashes = " ".join(sha256_of(directory / name) for name in _NEEDED)
    return hashlib.sha256(hashes.encode("ascii")).hexdigest()
