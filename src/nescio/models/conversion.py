"""From a GGUF file to a directory of safetensors, tokenizer and configuration.

transformers reads the file and unpacks its weights to float32, which holds every
quantised value exactly; bfloat16 and float16 would not. What it is known to lose is
mended, and everything that can be checked is checked: a conversion that would change
a number or the splitting of a text is refused.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nescio.errors import ConversionFailed, MissingDependency, NescioError
from nescio.models.fetching import Report
from nescio.models.gguf_file import GGUFHeader, read_header, write_without_vocabulary

__all__ = ["check_libraries", "convert"]

_LIBRARIES = ("accelerate", "gguf", "safetensors", "tokenizers", "torch")
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
_SPACE_MARK = "\u2581"
_NAMED_TOKENS = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}


def check_libraries() -> None:
    """Refuse before any download where a conversion could not run.

    Raises:
        MissingDependency: naming every library that is missing.
    """
    wanted = (*_LIBRARIES, "transformers")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"local models need {', '.join(missing)}: pip install 'nescio[local]'"
        )


def convert(
    gguf: Path, directory: Path, *, control: Sequence[str], report: Report
) -> None:
    """Write a GGUF model as safetensors, tokenizer and configuration.

    Args:
        gguf: the file.
        directory: an empty directory to write to.
        control: control tokens that have to be there.
        report: told what is being done.

    Raises:
        ConversionFailed: something in the file is not understood, or would be lost.
        OSError: the disk.
    """
    try:
        report("reading the tokenizer", None)
        header = read_header(gguf)
        with _alone(gguf, directory.parent) as linked:
            backend = _read_tokenizer(linked, header)
            _check_control(backend, header, control)
            _write_tokenizer(backend, header, directory)
            report("reading the weights", None)
            network = _read_network(linked, header)
        report("writing the weights", None)
        _write_network(network, directory)
        report("checking what was written", None)
        _check_written(network, directory)
    except NescioError:
        raise
    except Exception as error:
        _raise_disk_trouble(error)
        reason = str(error).strip().split("\n")[0]
        raise ConversionFailed(
            f"{gguf.name} cannot be converted: {type(error).__name__}: {reason}. "
            "Is transformers the version that nescio's constraints name?"
        ) from error


@contextmanager
def _alone(gguf: Path, beside: Path) -> Iterator[Path]:
    """The file in a folder of its own: transformers reads whatever lies by it."""
    with tempfile.TemporaryDirectory(dir=beside, prefix="gguf-") as folder:
        linked = Path(folder) / "model.gguf"
        try:
            linked.symlink_to(gguf.resolve())
        except OSError:  # where links need a privilege
            shutil.copyfile(gguf, linked)
        yield linked


def _read_tokenizer(gguf: Path, header: GGUFHeader) -> Any:
    """The ``tokenizers`` backend, with what transformers is known to lose put back."""
    from transformers import PreTrainedTokenizerFast

    with _quietly():
        fast = PreTrainedTokenizerFast.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, local_files_only=True
        )
    backend = fast.backend_tokenizer
    _mend_splitting(backend, header.fields)
    _mend_added(backend, header)
    _check_tokens(backend, header)
    return backend


def _mend_splitting(backend: Any, fields: Mapping[str, Any]) -> None:
    """Byte-level vocabularies split a text by a rule that the file only names."""
    if fields["tokenizer.ggml.model"] != "gpt2":
        return
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    rule = fields.get("tokenizer.ggml.pre")
    if rule == "smollm":
        pieces = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        backend.pre_tokenizer = Sequence(pieces)
    elif rule == "gpt-2":
        backend.pre_tokenizer = ByteLevel(add_prefix_space=False)
    else:
        raise ConversionFailed(
            f"the file splits text by the rule {rule!r}, which is not known here"
        )


def _mend_added(backend: Any, header: GGUFHeader) -> None:
    """Control and user-defined tokens stay whole, and only control ones are special."""
    from tokenizers import AddedToken

    added = backend.get_added_tokens_decoder()
    for token, special in _added(header):
        if token in added and added[token].special == special:
            continue
        content = _spelling(header, token)
        # A mark stands for a space only after normalisation, so it is matched there.
        marked = content != header.tokens[token]
        new = AddedToken(content, normalized=marked, special=special)
        (backend.add_special_tokens if special else backend.add_tokens)([new])


def _added(header: GGUFHeader) -> Iterator[tuple[int, bool]]:
    for token, kind in enumerate(header.fields["tokenizer.ggml.token_type"]):
        if kind in (_CONTROL, _USER_DEFINED):
            yield token, kind == _CONTROL


def _spelling(header: GGUFHeader, token: int) -> str:
    """How the backend spells a token: SentencePiece's spaces are marks there."""
    content = header.tokens[token]
    if header.fields["tokenizer.ggml.model"] == "llama":
        return content.replace(" ", _SPACE_MARK)
    return content


def _check_tokens(backend: Any, header: GGUFHeader) -> None:
    if backend.get_vocab_size() != len(header.tokens):
        raise ConversionFailed(
            f"the tokenizer has {backend.get_vocab_size()} tokens, "
            f"the file {len(header.tokens)}"
        )
    for token in range(len(header.tokens)):
        found, wanted = backend.id_to_token(token), _spelling(header, token)
        if found != wanted:
            raise ConversionFailed(f"token {token} became {found!r}, not {wanted!r}")
    kinds = header.fields["tokenizer.ggml.token_type"]
    added = backend.get_added_tokens_decoder()
    found = {i: a.special for i, a in added.items() if kinds[i] != _UNKNOWN}
    if found != dict(_added(header)):
        raise ConversionFailed("control and user-defined tokens were mixed up")


def _check_control(backend: Any, header: GGUFHeader, names: Sequence[str]) -> None:
    kinds = header.fields["tokenizer.ggml.token_type"]
    for name in names:
        token = backend.token_to_id(name)
        if token is None or kinds[token] != _CONTROL:
            raise ConversionFailed(f"the file has no control token {name!r}")


def _write_tokenizer(backend: Any, header: GGUFHeader, directory: Path) -> None:
    fields = header.fields
    backend.save(str(directory / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": fields[f"{fields['general.architecture']}.context_length"],
    }
    for name, key in _NAMED_TOKENS.items():
        if (token := fields.get(f"tokenizer.ggml.{key}")) is not None:
            settings[name] = header.tokens[token]
    _write_json(directory / "tokenizer_config.json", settings)
    if template := fields.get("tokenizer.chat_template"):
        (directory / "chat_template.jinja").write_text(template, encoding="utf-8")


def _read_network(gguf: Path, header: GGUFHeader) -> Any:
    """The model with float32 weights, all of them from the file."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    write_without_vocabulary(gguf, header, gguf.with_name("weights.gguf"))
    source: dict[str, Any] = {"gguf_file": "weights.gguf", "local_files_only": True}
    source["trust_remote_code"] = False
    folder = str(gguf.parent)
    with _quietly():
        config = AutoConfig.from_pretrained(folder, **source)
        config.vocab_size = len(header.tokens)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            **source,
        )
    network, loading = loaded
    lost = {what: sorted(map(str, found)) for what, found in loading.items() if found}
    weights = _distinct(network)
    if lost or len(weights) != header.tensors:
        raise ConversionFailed(
            f"of the file's {header.tensors} tensors {len(weights)} became "
            f"weights of {type(network).__name__} {lost or ''}".rstrip()
        )
    for name, tensor in weights.items():
        if tensor.dtype != torch.float32 or not bool(tensor.sum().isfinite()):
            raise ConversionFailed(f"the weights {name} are not all finite float32")
    return network


def _distinct(network: Any) -> dict[str, Any]:
    """The weights by name, tied ones once."""
    found, places = {}, set()
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in places:
            places.add(tensor.data_ptr())
            found[name] = tensor.contiguous()
    return found


def _write_network(network: Any, directory: Path) -> None:
    from safetensors.torch import save_file

    weights = directory / "model.safetensors"
    save_file(_distinct(network), weights, metadata={"format": "pt"})
    _write_json(directory / "config.json", _settings(network))
    # The library makes a file for its owner's eyes; a cache may be shared.
    shutil.copymode(directory / "config.json", weights)


def _settings(network: Any) -> dict[str, Any]:
    """The configuration of the weights as they are now: float32 and whole."""
    settings = network.config.to_diff_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(name, None)
    return {**settings, "architectures": [type(network).__name__]}


def _check_written(network: Any, directory: Path) -> None:
    """Load what was written; it has to be what was read."""
    import torch
    from transformers import AutoModelForCausalLM

    with _quietly():
        again = AutoModelForCausalLM.from_pretrained(
            str(directory),
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    old, new = network.state_dict(), again.state_dict()
    if old.keys() != new.keys() or _settings(network) != _settings(again):
        raise ConversionFailed("what was written loads as another model")
    for name, tensor in old.items():
        if not torch.equal(tensor, new[name]):
            raise ConversionFailed(f"the weights {name} changed while written")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _raise_disk_trouble(error: Exception) -> None:
    """Raise what the system refused; libraries in Rust say it in words."""
    if isinstance(error, OSError) and error.errno:
        raise error
    if found := re.search(r"os error (\d+)", str(error)):
        code = int(found[1])
        raise OSError(code, os.strerror(code)) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """No bars, warnings or logs of transformers: a terminal has a bar of our own."""
    from transformers.utils import logging

    # Asking makes its log, which must take the real standard error for good.
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
