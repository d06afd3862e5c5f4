"""The vocabularies of real models: what every token spells, and the view over them.

The source distribution of llama-cpp-python carries vocabulary files of about twenty
models, each with texts and the tokens that llama.cpp makes of them. It is fetched from
the package index when the test runs; nothing of it is part of this project.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from nescio.ensemble.branches import Candidate, Spelled
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.canonical import that_may_be_canonical
from nescio.ensemble.lexicon import lexicon_of
from nescio.errors import CapabilityError, ConversionFailed
from nescio.models import conversion
from nescio.models.gguf_file import GGUFHeader, read_header
from nescio.models.pieces import vocabulary_of
from nescio.models.protocol import LogitBlock
from nescio.models.tokenizer import tokenizer_of
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin
from tests.ensemble.chain import check_chain

pytestmark = pytest.mark.verify

SOURCE = "llama-cpp-python==0.3.36"
BYTE_LEVEL = (
    "aquila",
    "command-r",
    "deepseek-coder",
    "deepseek-llm",
    "falcon",
    "gpt-2",
    "gpt-neox",
    "llama-bpe",
    "mpt",
    "qwen2",
    "qwen35",
    "refact",
    "starcoder",
)
SENTENCEPIECE = ("baichuan", "gemma-4", "llama-spm", "phi-3")
UNIGRAM = ("nomic-bert-moe",)
WORDPIECE = ("bert-bge",)
READ_WHOLE = ("gpt-2", "llama-spm", "phi-3")
"""Those whose splitting nescio knows, so that it reads them itself."""
CONTROL, USER, BYTE = 3, 4, 6
LOOKING_AHEAD = (
    "a.\n\nAll:\n\n\nx\t\tif (y)\t\t(\n\n  }\r\n\r\n  \r\nend",
    "x  1987  12,345  人工 も  🦙   don't we'll\u00a0\u00a0here \n \n b",
)
"""Splitting depends on what follows: white space before words, digits and marks."""
TEXT = "Äpfel, ご飯 🦙\n\n  x = 12"


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the vocabulary files, fetched once a session."""
    folder = tmp_path_factory.mktemp("vocabularies")
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    fetch += ["--no-binary", ":all:", "--no-build-isolation", "--dest", str(folder)]
    run = subprocess.run([*fetch, SOURCE], capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.tar.gz"))
    if run.returncode or not found:
        last = (run.stderr.strip().splitlines() or ["no file came"])[-1]
        pytest.fail(f"{SOURCE} cannot be fetched from the package index: {last}")
    with tarfile.open(found[0]) as archive:
        for member in archive:
            name = Path(member.name).name
            if name.startswith("ggml-vocab-") and member.isfile():
                source = archive.extractfile(member)
                assert source is not None
                (folder / name).write_bytes(source.read())
    found[0].unlink()
    return folder


def file_of(folder: Path, name: str) -> Path:
    path = folder / f"ggml-vocab-{name}.gguf"
    assert path.is_file(), f"{SOURCE} has no vocabulary of {name} any more"
    return path


@dataclass(frozen=True)
class Case:
    """A text, and the tokens that llama.cpp makes of it."""

    text: str
    tokens: list[int]


def cases_of(path: Path) -> list[Case]:
    """The texts beside a file with their tokens; none for some files."""
    texts, tokens = (path.with_name(path.name + end) for end in (".inp", ".out"))
    if not texts.is_file():
        return []
    split = texts.read_bytes().decode("utf-8").split("\n__ggml_vocab_test__\n")
    rows = tokens.read_bytes().decode("ascii").split("\n")[:-1]
    split = split[:-1] if not split[-1] else split
    assert len(split) == len(rows), "texts and tokens do not go together"
    return [
        Case(text, [int(token) for token in row.split()])
        for text, row in zip(split, rows, strict=True)
    ]


def backend_of(header: GGUFHeader, kind: str) -> Any:
    """A backend with the file's pieces and how that family spells; it cannot split."""
    pieces = {piece: number for number, piece in enumerate(header.tokens)}
    backend = Tokenizer(models.BPE(pieces, []))
    if kind == "byte level":
        backend.decoder = decoders.ByteLevel()
    else:
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        backend.decoder = decoders.Sequence(steps if kind == "pieces" else steps[::2])
    kinds = header.fields["tokenizer.ggml.token_type"]
    special = [p for p, number in pieces.items() if kinds[number] == CONTROL]
    user = [p for p, number in pieces.items() if kinds[number] == USER]
    backend.add_special_tokens(special)
    backend.add_tokens(user)
    return backend


def vocabulary_in(path: Path, kind: str) -> Vocabulary:
    header = read_header(path)
    end = header.fields.get("tokenizer.ggml.eos_token_id")
    ends = [] if end is None else [end]
    backend = backend_of(header, kind)
    return vocabulary_of(backend, len(header.tokens), end=ends)


def test_every_vocabulary_of_the_distribution_is_looked_at(vocabularies: Path) -> None:
    there = {path.stem.removeprefix("ggml-vocab-") for path in vocabularies.glob("*f")}
    assert there == {*BYTE_LEVEL, *SENTENCEPIECE, *UNIGRAM, *WORDPIECE}


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_byte_level_tokens_spell_the_texts_they_were_made_of(
    name: str, vocabularies: Path
) -> None:
    path = file_of(vocabularies, name)
    vocabulary = vocabulary_in(path, "byte level")
    for case in cases_of(path):
        assert vocabulary.spell(case.tokens) == case.text.encode()
    check_lexicon(vocabulary)
    check_view(vocabulary)


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_sentencepiece_tokens_spell_the_texts_they_were_made_of(
    name: str, vocabularies: Path
) -> None:
    path = file_of(vocabularies, name)
    header = read_header(path)
    vocabulary = vocabulary_in(path, "pieces")
    prefix = (
        b"" if header.fields.get("tokenizer.ggml.add_space_prefix") is False else b" "
    )
    for case in cases_of(path):
        spelled = vocabulary.spell(case.tokens)
        assert spelled == (prefix + case.text.encode() if case.text else b"")
    kinds = header.fields["tokenizer.ggml.token_type"]
    single = [token for token, kind in enumerate(kinds) if kind == BYTE]
    assert sorted(vocabulary.token(t) for t in single) == [
        bytes([b]) for b in range(256)
    ]
    check_lexicon(vocabulary)
    check_view(vocabulary)


@pytest.mark.parametrize("name", UNIGRAM)
def test_a_vocabulary_without_bytes_spells_its_pieces_and_no_more(
    name: str, vocabularies: Path
) -> None:
    vocabulary = vocabulary_in(file_of(vocabularies, name), "no bytes")
    check_lexicon(vocabulary)
    assert bytes([0xF0]) not in vocabulary.ids_by_bytes
    check_view(vocabulary, text=" the")


@pytest.mark.parametrize("name", READ_WHOLE)
def test_what_nescio_reads_itself_splits_as_llama_cpp_does_or_is_refused(
    name: str, vocabularies: Path, tmp_path: Path
) -> None:
    path = file_of(vocabularies, name)
    header = read_header(path)
    with conversion._alone(path, tmp_path) as linked:
        backend = conversion._read_tokenizer(linked, header)
    fast = PreTrainedTokenizerFast(tokenizer_object=backend)
    if name != "gpt-2":
        with pytest.raises(CapabilityError, match="a space before every text"):
            tokenizer_of(fast, len(header.tokens))
        return
    tokenizer = tokenizer_of(fast, len(header.tokens))
    for case in cases_of(path):
        assert tokenizer.encode(case.text.encode()).tolist() == case.tokens
        check_never_refused(tokenizer, case.tokens)
    for text in LOOKING_AHEAD:
        check_never_refused(tokenizer, tokenizer.encode(text.encode()).tolist())


WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 and Qwen 2 split; they differ in how many digits stay together."""


@pytest.mark.parametrize(("name", "digits"), [("llama-bpe", "{1,3}"), ("qwen2", "")])
def test_llama_cpps_tokens_may_be_canonical_after_every_one(
    name: str, digits: str, vocabularies: Path
) -> None:
    path = file_of(vocabularies, name)
    header = read_header(path)
    pieces = {piece: number for number, piece in enumerate(header.tokens)}
    merges = [tuple(m.split(" ")) for m in header.fields["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(pieces, merges, ignore_merges=digits != ""))
    split = pre_tokenizers.Split(Regex(WORDS.replace("DIGITS", digits)), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    backend.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=backend)
    tokenizer = tokenizer_of(fast, len(header.tokens))
    for case in cases_of(path):
        assert tokenizer.encode(case.text.encode()).tolist() == case.tokens
        check_never_refused(tokenizer, case.tokens)
    for text in LOOKING_AHEAD:
        check_never_refused(tokenizer, tokenizer.encode(text.encode()).tolist())


def check_never_refused(tokenizer: Any, ids: list[int]) -> None:
    """Every beginning of the tokenizer's own tokens may be those of a longer text."""
    tokens, nothing = None, np.array([], dtype=np.int64)
    for token in ids:
        tokens = Spelled.of(tokens, token)
        ended = (Candidate(None, tokens, 0.0),)
        assert that_may_be_canonical(tokenizer, ended, prompt=nothing) == ended


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("starcoder", "the rule 'starcoder'"),
        ("gpt-neox", "the rule None"),
        ("bert-bge", "'bert'"),
    ],
)
def test_a_splitting_that_is_not_known_is_refused_by_its_name(
    name: str, words: str, vocabularies: Path, tmp_path: Path
) -> None:
    target = tmp_path / "model"
    target.mkdir()
    with pytest.raises(ConversionFailed, match=words):
        conversion.convert(
            file_of(vocabularies, name), target, control=[], report=lambda *_: None
        )


@pytest.mark.parametrize("name", WORDPIECE)
def test_pieces_that_continue_words_are_refused(name: str, vocabularies: Path) -> None:
    header = read_header(file_of(vocabularies, name))
    pieces = {piece: number for number, piece in enumerate(header.tokens)}
    backend = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    with pytest.raises(CapabilityError, match="marks its pieces with '##'"):
        vocabulary_of(backend, len(pieces))


def check_lexicon(vocabulary: Vocabulary) -> None:
    """Every text token stands once in the lexicon, in the order of its bytes."""
    lexicon = lexicon_of(vocabulary)
    widths = np.diff(vocabulary.offsets)
    wanted = np.flatnonzero(~vocabulary.control & (widths > 0))
    np.testing.assert_array_equal(np.sort(lexicon.ids), wanted)
    spelled = [vocabulary.token(token) for token in lexicon.ids]
    assert spelled == sorted(spelled)
    root = lexicon.root()
    ends = [*root.starts[1:], len(lexicon)]
    for symbol, begin, end in zip(root.symbols, root.starts, ends, strict=True):
        assert {one[0] for one in spelled[begin:end]} == {symbol}


@dataclass(frozen=True, eq=False)
class Guessing:
    """A model over a vocabulary whose logits are drawn anew for every context."""

    vocabulary: Vocabulary
    name: str = "guessing"
    start: tuple[int, ...] = (0,)
    context_length: int | None = None

    @property
    def origin(self) -> Origin:
        return Origin(self.name, "0", self.vocabulary.digest, "none", "f32")

    def encode(self, text: bytes) -> np.ndarray:
        raise NotImplementedError

    def open(self) -> Any:
        return ()

    def extend(self, contexts: Any, tokens: Any) -> Any:
        longer = tuple(
            (*context, *map(int, run))
            for context, run in zip(contexts, tokens, strict=True)
        )
        rows = [
            3.0
            * np.random.default_rng(hash(one) % 2**32).standard_normal(
                self.vocabulary.size, dtype=np.float32
            )
            for one in longer
        ]
        return longer, np.stack(rows)

    def logit_blocks(self, *_: Any, **__: Any) -> list[LogitBlock]:
        raise NotImplementedError


def check_view(vocabulary: Vocabulary, text: str = TEXT) -> None:
    """All symbols together have probability 1 at every byte, and the chain rule."""
    view = ByteView(Guessing(vocabulary), prune=0.02)
    (context,), _ = view.extend([view.open()], [np.array([START])])
    for byte in text.encode():
        logp = context.log_masses - context.log_kept
        assert np.exp(logp).sum() == pytest.approx(1.0, abs=1e-12)
        assert np.exp(context.logp).sum() == pytest.approx(1.0, abs=1e-12)
        (longer,), _ = view.extend([context], [np.array([byte])])
        check_chain(context, byte, longer)
        context = longer
