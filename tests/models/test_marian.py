"""Translation models: against a forward pass by hand, and files that are none."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nescio
from nescio.ensemble.byte_view import ByteView
from nescio.errors import CapabilityError, InvalidInput, InvalidText, SchemaError
from nescio.kernel import log_softmax
from nescio.models.marian import MarianModel, Translator, read_translator
from nescio.models.marian_file import read_marian_file
from nescio.models.marian_network import network_of
from nescio.models.marian_pieces import START, target_pieces
from nescio.models.sentencepiece import CharacterMap, SentencePiece
from tests.models.tiny_marian import (
    PIECES,
    SETTINGS,
    file_of,
    logits_by_hand,
    random_arrays,
    write_translator,
)

SOURCES = ["ab cab.", "é", "cé cé abca fi"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a tiny translator."""
    return write_translator(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def translator(folder: Path) -> Translator:
    """The translator, in float64."""
    read = read_translator(folder, name="marian:tiny")
    doubled = {name: a.astype(np.float64) for name, a in read.network.arrays.items()}
    return replace(read, network=replace(read.network, arrays=doubled))


@pytest.fixture(scope="module")
def model(translator: Translator) -> MarianModel:
    """Translations of one source."""
    return translator.translate_from(SOURCES[0])


def pieces_logp(
    model: MarianModel, targets: list[tuple[int, ...]]
) -> dict[tuple[int, ...], np.ndarray]:
    """From the network alone: log-probabilities of what follows, by what was read.

    The unknown piece is never written.
    """
    network, found = model.network, {}
    for _, same in itertools.groupby(targets, len):
        group = list(same)
        runs = np.array([(START, *target) for target in group])
        places = np.tile(np.arange(runs.shape[1]), (len(group), 1))
        memories = [model.source.memory] * len(group)
        hidden, _ = network.decoded(memories, network.fresh(len(group)), runs, places)
        logits = network.head(hidden[:, -1])
        logits[:, model.pieces.source.unknown] = -np.inf
        found |= dict(zip(group, log_softmax(logits), strict=True))
    return found


def test_the_network_is_what_it_is_by_hand(translator: Translator) -> None:
    target = [9, 3, 6, 2, 8, 4, 12]
    for source in SOURCES:
        model = translator.translate_from(source)
        ids = translator.encode_source(source).tolist()
        run = np.array([model.start[0], *target])
        _, logits = model.extend([model.open()], [run])
        by_hand = logits_by_hand(translator.network.arrays, ids, target)
        by_hand[1] = -np.inf
        np.testing.assert_allclose(logits[0, : len(PIECES)], by_hand, atol=1e-12)


def test_eight_bits_are_read_back_to_what_was_rounded(folder: Path) -> None:
    found, made = read_marian_file(folder / "model.bin").arrays, random_arrays()
    assert found.keys() == made.keys()
    for name, array in made.items():
        assert found[name].shape == array.shape
        matrix = name == "Wemb" or min(array.shape) > 1
        step = np.abs(array).max() / 127.0 if matrix else 0.0
        np.testing.assert_allclose(found[name], array, atol=step / 2 * 1.0001, rtol=0)
    assert np.abs(found["Wemb"] - made["Wemb"]).max() > 0.0


def test_a_text_has_the_probability_of_the_pieces_that_decode_to_it(
    model: MarianModel,
) -> None:
    """Σ over piece sequences that, joined and less a space in front, are the text."""
    targets = [
        target
        for length in range(3)
        for target in itertools.product(range(2, len(PIECES)), repeat=length)
    ]
    logp = pieces_logp(model, targets)
    spaces = [token for token, (piece, _) in enumerate(PIECES) if piece[0] == "▁"]
    left_out = logp[()][2] + logp[(2,)][spaces]
    kept = np.log1p(-np.exp(left_out).sum())
    spelled: dict[bytes, float] = {}
    for target in targets:
        text = "".join(PIECES[token][0] for token in target).replace("▁", " ")
        if not text.startswith("  "):
            total = sum(logp[target[:i]][token] for i, token in enumerate(target))
            p = float(np.exp(total + logp[target][0] - kept))
            text = text.removeprefix(" ")
            spelled[text.encode()] = spelled.get(text.encode(), 0.0) + p
    ours: dict[bytes, float] = {}
    for target, p in _ended(model, most=2):
        text = model.vocabulary.spell(target)
        ours[text] = ours.get(text, 0.0) + p
    assert len(spelled) > 150
    assert ours.keys() == spelled.keys()
    for text, p in spelled.items():
        assert ours[text] == pytest.approx(p, rel=1e-10), text


def _ended(model: MarianModel, *, most: int) -> list[tuple[tuple[int, ...], float]]:
    """Ended texts of at most so many pieces, in our own ids, and probabilities."""
    found, ends = [], set(model.vocabulary.end)
    start = model.extend([model.open()], [np.array(model.start)])
    pending = [((), 0, 0.0, start[0][0], log_softmax(start[1])[0])]
    while pending:
        longer = []
        for target, pieces, total, context, row in pending:
            for token in np.flatnonzero(row > -np.inf).tolist():
                count = pieces + 1 + int(model.pieces.second[token] != START)
                if token in ends and count <= most + 1:
                    found.append(((*target, token), float(np.exp(total + row[token]))))
                elif token not in ends and count <= most:
                    longer.append(
                        ((*target, token), count, total + row[token], context)
                    )
        runs = [np.array(target[-1:]) for target, *_ in longer]
        if not longer:
            return found
        contexts, logits = model.extend([one[3] for one in longer], runs)
        pending = [
            (target, count, total, context, row)
            for (target, count, total, _), context, row in zip(
                longer, contexts, log_softmax(logits), strict=True
            )
        ]
    return found


def test_what_comes_first_is_a_distribution_without_twins_later(
    model: MarianModel,
) -> None:
    (context,), logits = model.extend([model.open()], [np.array(model.start)])
    first = logits[0] > -np.inf
    assert not first[[1, 2, 10, 11, 12]].any(), "spaces and the unknown come first"
    assert first[model.pieces.start + 1 :].all()
    _, logits = model.extend([context], [model.encode(b"ab")])
    later = logits[0] > -np.inf
    assert later[:16].tolist() == [token != 1 for token in range(16)]
    assert not later[16:].any()


def test_a_text_is_split_as_sentencepiece_splits_it_and_spells_itself(
    model: MarianModel,
) -> None:
    for text in ("ab cab.", "a", "cé. ab", "bca bca", "fi", "a  b", "aa "):
        ids = model.encode(text.encode())
        assert model.vocabulary.spell(ids) == text.encode()
        assert not model.vocabulary.control[ids].any()
        under = model.pieces.source.split("▁" + text.replace(" ", "▁"))
        first, second = model.pieces.first[ids], model.pieces.second[ids]
        read = [t for pair in zip(first, second, strict=True) for t in pair if t >= 0]
        assert read == under


def test_what_cannot_be_written_is_refused_by_name(model: MarianModel) -> None:
    cases = {
        "aña": r"U\+00F1",
        "a▁b": "U\\+2581",
        " a": "space",
        "<unk>": "<",
    }
    for text, match in cases.items():
        with pytest.raises(InvalidText, match=match):
            model.encode(text.encode())
    with pytest.raises(InvalidText, match="UTF-8"):
        model.encode(b"a\xff")
    assert model.encode(b"").size == 0
    assert model.vocabulary.spell(model.encode(b"a b")) == b"a b"


def test_a_source_is_brought_into_form_and_unknown_runs_are_one_unknown(
    translator: Translator,
) -> None:
    source = translator.pieces.source
    assert source.normalised(" \t ab\u00a0\u00a0c ") == "▁ab▁c"
    assert source.normalised("ﬁ ﬁb\u00ad") == "▁fi▁abc"
    assert source.normalised("\ud800 a") == "▁?▁a"
    assert source.encode("aXYb") == [10, 1, 4]
    assert source.encode("") == []
    assert translator.encode_source("a </s>").tolist()[-1] == 0
    assert 0 not in source.encode("a </s>")


def test_the_best_split_is_the_best_of_all_splits(translator: Translator) -> None:
    source = translator.pieces.source

    def best(text: str) -> float:
        if not text:
            return 0.0
        options = [
            source.scores[token] + best(text[len(piece) :])
            for piece, token in source.ids.items()
            if text.startswith(piece)
        ]
        return max(options, default=-np.inf)

    rng = np.random.default_rng(5)
    for _ in range(60):
        text = "▁" + "".join(rng.choice(list("abc.▁"), size=int(rng.integers(1, 9))))
        found = source.split(text)
        assert "".join(source.pieces[token] for token in found) == text
        assert sum(source.scores[t] for t in found) == pytest.approx(best(text))


def test_sources_go_together_in_one_batch_as_they_do_alone(
    translator: Translator,
) -> None:
    models = [translator.translate_from(source) for source in SOURCES]
    runs = [
        np.array([*models[0].start, *models[0].encode(t)])
        for t in (b"ab", b"cab.", b"")
    ]
    contexts, logits = models[0].extend([m.open() for m in models], runs)
    for model, run, row, context in zip(models, runs, logits, contexts, strict=True):
        _, alone = model.extend([model.open()], [run])
        np.testing.assert_allclose(row, alone[0], atol=1e-12)
        assert context.rewind(1).length == 1


def test_the_view_as_bytes_has_no_space_in_front_and_every_way_of_writing(
    model: MarianModel,
) -> None:
    view = ByteView(model)
    context = view.begin(b"")
    p = np.exp(context.log_masses)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert context.log_masses[ord(" ")] == -np.inf
    read, _ = view.extend([context], [view.encode(b"ab")])
    row = log_softmax(model.extend([model.open()], [np.array(model.start)])[1])[0]
    start = model.start[0]
    whole = [
        t for t in range(model.vocabulary.size) if model.vocabulary.token(t) == b"a"
    ]
    total = 0.0
    for token in whole:  # a, then what begins with b
        run = np.array([start, token])
        later = log_softmax(model.extend([model.open()], [run])[1])[0]
        for t in range(model.vocabulary.size):
            if model.vocabulary.token(t).startswith(b"b"):
                total += float(np.exp(row[token] + later[t]))
    for t in range(model.vocabulary.size):
        if model.vocabulary.token(t).startswith(b"ab"):
            total += float(np.exp(row[t]))
    assert np.exp(read[0].log_kept) == pytest.approx(total, rel=1e-10)


def test_nothing_to_translate_and_texts_without_a_start_are_refused(
    translator: Translator, model: MarianModel
) -> None:
    with pytest.raises(InvalidText, match="nothing to translate"):
        translator.translate_from("  \t ")
    with pytest.raises(InvalidInput, match="begins with <start>"):
        model.extend([model.open()], [np.array([3])])
    with pytest.raises(InvalidInput, match="nowhere else"):
        model.extend([model.open()], [np.array([*model.start, *model.start])])
    other = replace(translator.network)
    foreign = replace(translator, network=other).translate_from("a")
    with pytest.raises(InvalidInput, match="another translator"):
        model.extend([foreign.open()], [np.array(model.start)])


def test_the_origin_names_weights_vocabulary_and_source(
    folder: Path, translator: Translator
) -> None:
    one, other = (translator.translate_from(s).origin for s in SOURCES[:2])
    assert one.model == "marian:tiny"
    assert len(one.model_digest) == 64
    assert one.tokenizer_digest == other.tokenizer_digest
    assert one.decoding["source"] != other.decoding["source"]
    assert read_translator(folder).name == f"marian:{folder.name}"


def test_a_directory_without_its_files_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(nescio.errors.UnknownModel, match="cannot be read"):
        read_translator(tmp_path)


def test_weights_and_pieces_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_translator(tmp_path, random_arrays(pieces=20))
    with pytest.raises(SchemaError, match="of 20 pieces, the vocabulary of 16"):
        read_translator(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("dec-cell", "gru", CapabilityError),
        ("tied-embeddings-all", "false", CapabilityError),
        ("transformer-heads", "3", SchemaError),
        ("enc-depth", "many", SchemaError),
        ("enc-depth", "3", SchemaError),
        ("transformer-dim-ffn", "0", SchemaError),
    ],
)
def test_another_architecture_is_refused_by_name(
    tmp_path: Path, key: str, value: str, kind: type[Exception]
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(file_of(random_arrays(), SETTINGS | {key: value}))
    with pytest.raises(kind):
        network_of(read_marian_file(path))


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    arrays = random_arrays()
    del arrays["decoder_l2_rnn_Wf"]
    path = tmp_path / "model.bin"
    path.write_bytes(file_of(arrays, SETTINGS))
    with pytest.raises(SchemaError, match="decoder_l2_rnn_Wf is missing"):
        network_of(read_marian_file(path))


def _broken(change: Callable[[bytearray], None]) -> bytes:
    raw = bytearray(file_of(random_arrays(), SETTINGS))
    change(raw)
    return bytes(raw)


def _word(place: int, value: int) -> Callable[[bytearray], None]:
    def change(raw: bytearray) -> None:
        raw[place : place + 8] = value.to_bytes(8, "little")

    return change


HOSTILE = {
    "empty": b"",
    "another format": b"PK\x03\x04" * 20,
    "a pickle": b"\x80\x04\x95" + b"\0" * 60,
    "no tensors": _broken(_word(8, 0)),
    "too many tensors": _broken(_word(8, 1 << 60)),
    "a name without end": _broken(_word(16, 1 << 50)),
    "a strange type": _broken(_word(24, 0x408)),
    "too many axes": _broken(_word(32, 1 << 40)),
    "data without end": _broken(_word(40, 1 << 62)),
    "too little data": _broken(_word(40, 3)),
    "cut off": file_of(random_arrays(), SETTINGS)[:-300],
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(raw)
    with pytest.raises(SchemaError, match="no Marian model"):
        read_marian_file(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    arrays = random_arrays()
    arrays["decoder_l1_rnn_bf"][0, 3] = np.nan
    path = tmp_path / "model.bin"
    path.write_bytes(file_of(arrays, SETTINGS))
    with pytest.raises(SchemaError, match="decoder_l1_rnn_bf has numbers that are not"):
        read_marian_file(path)


def test_whatever_the_bytes_are_a_file_is_read_or_refused(
    folder: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    for name in ("model.bin", "vocabulary.spm"):
        raw = (folder / name).read_bytes()
        for _ in range(15):
            bad = bytearray(raw)
            for _ in range(int(rng.integers(1, 5))):
                bad[int(rng.integers(min(len(bad), 3000)))] = int(rng.integers(256))
            cut = int(rng.integers(len(bad))) if rng.random() < 0.3 else len(bad)
            write_translator(tmp_path)
            (tmp_path / name).write_bytes(bytes(bad[:cut]))
            with suppress(nescio.NescioError):
                read_translator(tmp_path).pieces.source.normalised("ﬁ ab")


def test_an_end_behind_a_lone_space_ends_an_empty_text() -> None:
    pieces = ("</s>", "<unk>", "▁", "a", "▁a")
    tiny = SentencePiece(pieces, (0.0, 0.0, -3.0, -2.0, -1.0), 0, 1, CharacterMap(), "")
    target = target_pieces(tiny)
    assert target.vocabulary.end == (0, 7)
    assert target.encode(b"aa").tolist() == [6, 3]
