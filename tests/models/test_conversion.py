"""GGUF files become the weights and the splitting they hold, or are refused."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from nescio.errors import ConversionFailed, MissingDependency
from nescio.models import conversion
from nescio.models.conversion import check_libraries, convert
from nescio.models.gguf_file import read_header
from tests.models.tiny_gguf import (
    CONTEXT,
    CONTROL,
    TEMPLATE,
    TinyFile,
    write_gemma,
    write_llama,
)


def silent(stage: str, share: float | None) -> None:
    pass


def converted(made: TinyFile, folder: Path, control: tuple[str, ...] = ()) -> Path:
    directory = folder / "converted"
    directory.mkdir()
    convert(made.path, directory, control=control, report=silent)
    return directory


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> tuple[TinyFile, Path]:
    folder = tmp_path_factory.mktemp("llama")
    made = write_llama(folder / "tiny.gguf")
    return made, converted(made, folder, CONTROL)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory) -> tuple[TinyFile, Path]:
    folder = tmp_path_factory.mktemp("gemma")
    made = write_gemma(folder / "tiny.gguf")
    return made, converted(made, folder, ("<bos>", "<eos>"))


@pytest.fixture(params=["llama", "gemma"])
def either(request) -> tuple[TinyFile, Path]:
    return request.getfixturevalue(request.param)


def test_every_weight_is_exactly_the_dequantised_value_in_float32(either):
    made, directory = either
    written = load_file(directory / "model.safetensors")
    assert written.keys() == made.weights.keys()  # the tied head is not there twice
    for name, expected in made.weights.items():
        assert written[name].dtype == torch.float32
        np.testing.assert_array_equal(written[name].numpy(), expected, err_msg=name)


def test_quantised_values_would_not_survive_sixteen_bits(llama):
    made, _ = llama
    values = torch.from_numpy(made.weights["model.layers.0.self_attn.q_proj.weight"])
    for narrow in (torch.bfloat16, torch.float16):
        assert not torch.equal(values.to(narrow).float(), values)


def test_the_directory_loads_as_the_model_whose_weights_it_holds(either):
    made, directory = either
    network = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True)
    reference = type(network)(network.config).eval()
    weights = {name: torch.tensor(made.weights[name]) for name in made.weights}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    reference.load_state_dict(weights)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        found, expected = network(ids).logits, reference(ids).logits
    assert found.abs().max() > 0.1
    torch.testing.assert_close(found, expected)


def test_the_configuration_tells_the_architecture_and_no_quantisation(llama):
    _, directory = llama
    settings = json.loads((directory / "config.json").read_text())
    assert settings["architectures"] == ["LlamaForCausalLM"]
    assert settings["dtype"] == "float32"
    assert settings["tie_word_embeddings"] is True
    assert settings["max_position_embeddings"] == CONTEXT
    assert settings["vocab_size"] == len(llama[0].tokens)
    assert "quantization_config" not in settings


def test_only_the_files_of_a_model_are_written_and_nothing_beside_them(either):
    made, directory = either
    names = {path.name for path in directory.iterdir()}
    assert names - {"chat_template.jinja"} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert {path.name for path in made.path.parent.iterdir()} == {
        made.path.name,
        directory.name,
    }
    modes = {path.stat().st_mode for path in directory.iterdir()}
    assert len(modes) == 1


def test_the_weights_file_says_that_torch_wrote_it(llama):
    with safe_open(llama[1] / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_chat_template_is_the_files_own(llama, gemma):
    _, directory = llama
    assert (directory / "chat_template.jinja").read_text() == TEMPLATE
    assert AutoTokenizer.from_pretrained(directory).chat_template == TEMPLATE
    assert not (gemma[1] / "chat_template.jinja").exists()


def test_every_token_keeps_its_id_and_its_kind(either):
    made, directory = either
    backend = Tokenizer.from_file(str(directory / "tokenizer.json"))
    added = backend.get_added_tokens_decoder()
    assert {i for i, kind in enumerate(made.types) if kind in (3, 4)} == added.keys()
    assert {i for i in added if added[i].special} == {
        i for i, kind in enumerate(made.types) if kind == 3
    }
    # SentencePiece vocabularies spell a space as a mark.
    spelled = [backend.id_to_token(i) for i in range(len(made.tokens))]
    assert [piece.replace("\u2581", " ") for piece in spelled] == [
        token.replace("\u2581", " ") for token in made.tokens
    ]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("1234", ["1", "2", "3", "4"]),
        (" 12 the", ["Ġ", "1", "2", "Ġthe"]),
        ("<think>the", ["<think>", "t", "he"]),
        ("a<|im_end|>", ["a", "<|im_end|>"]),
        ("é", ["Ã", "©"]),
    ],
)
def test_a_smollm_vocabulary_splits_numbers_into_digits(llama, text, tokens):
    made, directory = llama
    expected = [made.tokens.index(token) for token in tokens]
    plain = Tokenizer.from_file(str(directory / "tokenizer.json"))
    assert plain.encode(text).ids == expected
    fast = AutoTokenizer.from_pretrained(directory)
    assert fast(text).input_ids == expected
    assert fast.decode(expected) == text


def test_a_gpt_2_vocabulary_keeps_numbers_together(tmp_path):
    made = write_llama(tmp_path / "tiny.gguf", rule="gpt-2")
    directory = converted(made, tmp_path)
    backend = Tokenizer.from_file(str(directory / "tokenizer.json"))
    assert backend.encode("1234").tokens == ["12", "34"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("he he", ["he", "\u2581he"]),
        ("a  he", ["a", "\u2581\u2581", "he"]),
        ("   ", ["\u2581\u2581\u2581"]),
        # The longest run first, as SentencePiece does: five, five, two.
        (" " * 12, ["\u2581" * 5, "\u2581" * 5, "\u2581" * 2]),
        ("a\n\n\nb", ["a", "\n\n", "\n", "b"]),
        ("[multimodal]", ["[multimodal]"]),
        ("é", ["<0xC3>", "<0xA9>"]),
    ],
)
def test_a_sentencepiece_vocabulary_takes_runs_of_spaces_whole(gemma, text, tokens):
    _, directory = gemma
    backend = Tokenizer.from_file(str(directory / "tokenizer.json"))
    assert backend.encode(text, add_special_tokens=False).tokens == tokens
    fast = AutoTokenizer.from_pretrained(directory)
    ids = fast(text, add_special_tokens=False).input_ids
    assert fast.convert_ids_to_tokens(ids) == tokens
    assert fast.decode(ids) == text


def test_a_files_wish_for_a_document_start_is_kept(llama, gemma):
    assert AutoTokenizer.from_pretrained(gemma[1])("he").tokens() == ["<bos>", "he"]
    assert AutoTokenizer.from_pretrained(llama[1])("he").tokens() == ["he"]


def test_kinds_that_were_lost_are_put_back(llama):
    made, directory = llama
    fields = json.loads((directory / "tokenizer.json").read_text())
    fields["added_tokens"] = [
        {**fields["added_tokens"][0], "special": False},  # a control token
        {**fields["added_tokens"][3], "special": True},  # <think>
    ]
    backend = Tokenizer.from_str(json.dumps(fields))
    header = read_header(made.path)
    conversion._mend_added(backend, header)
    conversion._check_tokens(backend, header)
    written = Tokenizer.from_str(backend.to_str())
    ids = written.encode("<|endoftext|><think><|im_end|>").ids
    assert ids == [0, 3, 2]
    assert written.decode(ids, skip_special_tokens=True) == "<think>"


@pytest.mark.parametrize("spoiled", ["spelling", "kind", "size"])
def test_a_tokenizer_that_lost_something_is_refused(llama, spoiled):
    made, directory = llama
    text = (directory / "tokenizer.json").read_text()
    if spoiled == "spelling":
        text = text.replace('"a":', '"\u0101":', 1)
    backend = Tokenizer.from_str(text)
    if spoiled == "kind":
        backend.add_special_tokens(["the"[:1]])
    if spoiled == "size":
        backend.add_tokens(["one more"])
    with pytest.raises(ConversionFailed, match=r"token|tokens"):
        conversion._check_tokens(backend, read_header(made.path))


def test_conversion_says_nothing_and_asks_no_network(tmp_path, monkeypatch, capfd):
    def refuse(*arguments):
        raise AssertionError(f"connected to {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    made = write_llama(tmp_path / "tiny.gguf")
    stages = []
    directory = tmp_path / "converted"
    directory.mkdir()
    convert(made.path, directory, control=(), report=lambda s, _: stages.append(s))
    assert capfd.readouterr() == ("", "")
    assert stages == [
        "reading the tokenizer",
        "reading the weights",
        "writing the weights",
        "checking what was written",
    ]


def test_files_that_lie_beside_the_gguf_file_are_not_read(llama, tmp_path):
    made = write_llama(tmp_path / "tiny.gguf")
    strange = {"bos_token": "<strange>", "chat_template": "strange"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(strange))
    (tmp_path / "chat_template.jinja").write_text("strange")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "tokenizer.json").write_text("strange")
    directory = converted(made, tmp_path)
    for path in llama[1].iterdir():
        assert (directory / path.name).read_bytes() == path.read_bytes()


def test_a_rule_for_splitting_that_is_not_known_is_refused(tmp_path):
    made = write_llama(tmp_path / "tiny.gguf", rule="tekken")
    with pytest.raises(ConversionFailed, match="'tekken'"):
        converted(made, tmp_path)


@pytest.mark.parametrize("name", ["<eos>", "<think>", "the"])
def test_a_control_token_that_is_not_there_is_refused(tmp_path, name):
    made = write_llama(tmp_path / "tiny.gguf")
    with pytest.raises(ConversionFailed, match=f"no control token '{name}'"):
        converted(made, tmp_path, (name,))


def test_a_tensor_that_the_model_has_no_place_for_is_refused(tmp_path):
    more = {"rope_freqs.weight": np.ones(8, np.float32)}
    made = write_llama(tmp_path / "tiny.gguf", extra=more)
    with pytest.raises(ConversionFailed, match="21 tensors 20 became"):
        converted(made, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    made = write_llama(tmp_path / "tiny.gguf", spoil=value)
    with pytest.raises(ConversionFailed, match=r"model\.norm\.weight"):
        converted(made, tmp_path)


@pytest.mark.parametrize("length", [0, 3, 20, 40, 3000])
def test_a_file_that_is_cut_or_no_gguf_is_refused(llama, tmp_path, length):
    path = tmp_path / "cut.gguf"
    path.write_bytes(llama[0].path.read_bytes()[:length])
    with pytest.raises(ConversionFailed, match=r"cut\.gguf is not a GGUF file"):
        read_header(path)


def test_another_version_of_the_format_is_refused(llama, tmp_path):
    path = tmp_path / "old.gguf"
    path.write_bytes(b"GGUF\1\0\0\0" + llama[0].path.read_bytes()[8:])
    with pytest.raises(ConversionFailed, match="version 1"):
        read_header(path)


def test_the_header_is_what_was_written(llama):
    made, _ = llama
    header = read_header(made.path)
    assert list(header.tokens) == made.tokens
    assert list(header.fields["tokenizer.ggml.token_type"]) == made.types
    assert header.fields["llama.rope.freq_base"] == 10_000.0
    assert header.fields["tokenizer.ggml.add_bos_token"] is False
    assert header.tensors == len(made.weights)


def test_weights_that_load_differently_than_they_were_read_are_refused(
    tmp_path, monkeypatch
):
    write = conversion._write_network

    def write_wrong(network, directory):
        with torch.no_grad():
            network.model.norm.weight[0] += 1
        write(network, directory)
        with torch.no_grad():
            network.model.norm.weight[0] -= 2

    monkeypatch.setattr(conversion, "_write_network", write_wrong)
    with pytest.raises(ConversionFailed, match="changed while written"):
        converted(write_llama(tmp_path / "tiny.gguf"), tmp_path)


def test_a_trouble_of_transformers_is_told_as_a_failed_conversion(
    tmp_path, monkeypatch
):
    def fail(*_arguments, **_options):
        raise OSError("Unable to load weights\nfrom somewhere")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(
        ConversionFailed, match=r"OSError: Unable to load weights\. Is transformers"
    ):
        converted(write_llama(tmp_path / "tiny.gguf"), tmp_path)


def test_missing_libraries_are_named_with_what_installs_them(monkeypatch):
    monkeypatch.setattr(
        conversion, "find_spec", lambda name: None if name in "torch gguf" else name
    )
    with pytest.raises(MissingDependency, match=r"need gguf, torch: pip install"):
        check_libraries()
