"""Inspect logs: epochs as draws, scorers, both forms, both packings."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from nescio.errors import InvalidInput, SchemaError
from nescio.imports import Mark, OutcomesFrom, import_file, zipped
from nescio.trace import Prompt
from tests.imports.making import evaluated, header, write_log

SEQUENCE = OutcomesFrom(confidence="sequence_probability")
FOUR = [
    evaluated("a", 1, "x", "C"),
    evaluated(7, 1, "y", "I"),
    evaluated("a", 2, "z", 0.0),
    evaluated(7, 2, "x", True),
]


def test_epochs_are_draws_of_one_item(tmp_path: Path) -> None:
    found = import_file(write_log(tmp_path / "log.eval", FOUR))
    assert found.format == "inspect"
    assert [(item, s.texts) for item, s in found.samples] == [
        ("a", ("x", "z")),
        ("7", ("y", "x")),
    ]
    assert [a.draw for a in found.samples[0][1].answers] == [0, 1]
    assert found.samples[0][1].prompt == Prompt.of(
        [{"role": "user", "content": "What is it?"}]
    )
    assert found.marks == (
        Mark("a", 0, "match", True),
        Mark("7", 0, "match", False),
        Mark("a", 1, "match", False),
        Mark("7", 1, "match", True),
    )
    assert len(found.traces) == 4
    assert found.traces[0].origin.model == "mock/model"
    assert found.traces[0].origin.decoding["temperature"] == 1.0
    assert found.skipped == ()


def test_a_confidence_is_taken_only_if_it_is_asked_for(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.eval", FOUR)
    found = import_file(path)
    assert found.outcomes is None
    assert any("no confidence" in note for note in found.notes)
    outcomes = import_file(path, outcomes=SEQUENCE).outcomes
    assert outcomes.confidence.tolist() == pytest.approx([0.5] * 4)
    assert outcomes.ids == outcomes.cluster == ("a", "a", "7", "7")
    assert outcomes.correct.tolist() == [True, False, False, True]


def test_the_json_log_holds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(header(samples=FOUR), indent=2), encoding="utf-8")
    packed = import_file(write_log(tmp_path / "log.eval", FOUR))
    assert import_file(path) == packed


def test_several_scorers_and_values_of_several_parts_are_kept_apart(
    tmp_path: Path,
) -> None:
    scores = {"match": {"value": "C"}, "judge": {"value": {"tone": 1, "fact": "I"}}}
    path = write_log(tmp_path / "l.eval", [evaluated("a", 1, "x", "C", scores=scores)])
    found = import_file(path, outcomes=SEQUENCE)
    assert [(m.name, m.correct) for m in found.marks] == [
        ("match", True),
        ("judge/tone", True),
        ("judge/fact", False),
    ]
    assert found.outcomes is None
    assert any("say which of" in note for note in found.notes)
    chosen = OutcomesFrom(confidence="sequence_probability", correct="judge/fact")
    assert import_file(path, outcomes=chosen).outcomes.correct.tolist() == [False]
    with pytest.raises(InvalidInput, match="'match', 'judge/tone', 'judge/fact'"):
        import_file(path, outcomes=OutcomesFrom(correct="jugde"))


@pytest.mark.parametrize("value", ["P", 0.5, math.nan, [1, 0], None, 10**400])
def test_a_score_that_is_neither_right_nor_wrong_is_no_verdict(
    tmp_path: Path, value: object
) -> None:
    path = write_log(tmp_path / "log.eval", [evaluated("a", 1, "x", value)])
    found = import_file(path)
    assert found.marks == ()
    ((where, why),) = found.skipped
    assert where.endswith("score match")
    assert "neither right nor wrong" in why


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"error": {"message": "out of memory"}}, "out of memory"),
        ({"invalidation": {"author": "me"}}, "declared invalid"),
        ({"output": {"choices": []}}, "has no answer"),
        ({"output": {"choices": [3]}}, "a choice is 3"),
        ({"epoch": -1}, "its epoch is -1"),
        ({"epoch": 1, "id": "good"}, "samples/good_epoch_1.json too"),
    ],
)
def test_a_sample_that_failed_or_cannot_be_is_skipped_by_name(
    tmp_path: Path, changed: dict, message: str
) -> None:
    bad = evaluated("bad", 2, "x", "C") | changed
    path = tmp_path / "log.eval"
    write_log(path, [evaluated("good", 1, "x", "C")])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("samples/bad_epoch_2.json", json.dumps(bad))
    found = import_file(path)
    assert [item for item, _ in found.samples] == ["good"]
    ((where, why),) = found.skipped
    assert where == "samples/bad_epoch_2.json"
    assert message in why


def test_what_a_model_thought_is_no_answer_and_its_numbers_are_refused(
    tmp_path: Path,
) -> None:
    one = evaluated("a", 1, "x", "C")
    message = one["output"]["choices"][0]["message"]
    message["content"] = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "yes"},
    ]
    found = import_file(write_log(tmp_path / "log.eval", [one]))
    assert found.samples[0][1].texts == ("yes",)
    assert found.traces == ()
    assert "another text" in found.skipped[0][1]
    assert found.skipped[0][0].endswith("log-probabilities")


def test_a_prompt_with_an_image_is_unknown_and_its_answer_is_kept(
    tmp_path: Path,
) -> None:
    seen = [{"role": "user", "content": [{"type": "image", "image": "data:…"}]}]
    path = write_log(
        tmp_path / "log.eval", [evaluated("a", 1, "x", "C", messages=seen)]
    )
    found = import_file(path)
    assert found.without_prompt == ("a",)
    assert any("'image': only texts" in note for note in found.notes)
    assert found.marks == (Mark("a", 0, "match", True),)


def test_long_texts_that_were_attached_are_found(tmp_path: Path) -> None:
    seen = [{"role": "user", "content": "attachment://f00"}]
    more = {"messages": seen, "attachments": {"f00": "What is it, at length?"}}
    path = write_log(tmp_path / "log.eval", [evaluated("a", 1, "x", "C", **more)])
    prompt = import_file(path).samples[0][1].prompt
    assert prompt.messages[0].content == "What is it, at length?"
    lost = write_log(
        tmp_path / "lost.eval", [evaluated("a", 1, "x", "C", messages=seen)]
    )
    assert any("attachments" in note for note in import_file(lost).notes)


def test_conversations_that_differ_are_variants_of_the_prompt(tmp_path: Path) -> None:
    other = [{"role": "user", "content": "And this?"}]
    path = write_log(
        tmp_path / "log.eval",
        [evaluated("a", 1, "x", "C"), evaluated("a", 2, "x", "C", messages=other)],
    )
    found = import_file(path)
    variants = [answer.variant for answer in found.samples[0][1].answers]
    assert variants == ["prompt 1", "prompt 2"]
    assert any("differs from answer to answer" in note for note in found.notes)


def test_a_log_that_did_not_end_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    write_log(path, FOUR, first=header(status="cancelled"))
    assert any("'cancelled'" in note for note in import_file(path).notes)
    started = tmp_path / "started.eval"
    with zipfile.ZipFile(started, "w") as archive:
        archive.writestr("_journal/start.json", json.dumps(header()))
        archive.writestr("samples/a_epoch_1.json", json.dumps(FOUR[0]))
    assert len(import_file(started).samples) == 1


def test_the_last_of_two_members_of_one_name_counts(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.eval", [evaluated("a", 1, "old", "I")])
    again = json.dumps(evaluated("a", 1, "new", "C"))
    archive = zipfile.ZipFile(path, "a")
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("samples/a_epoch_1.json", again)
    archive.close()
    assert import_file(path).samples[0][1].texts == ("new",)


def zstandard_log(
    path: Path, raw: bytes, *, frames: int = 1, claim: int = 0, checked: bytes = b""
) -> Path:
    """A log with one member packed by Zstandard, built by hand around stored bytes."""
    parts = [
        raw[i * len(raw) // frames : (i + 1) * len(raw) // frames]
        for i in range(frames)
    ]
    packed = b"".join(pa.Codec("zstd").compress(p, asbytes=True) for p in parts)
    write_log(path, [])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("samples/a_epoch_1.json", packed)
        info = archive.getinfo("samples/a_epoch_1.json")
        info.compress_type = 93
        info.file_size = claim or len(raw)
        info.CRC = zlib.crc32(checked or raw)
    return path


@pytest.mark.parametrize("frames", [1, 3])
def test_members_packed_by_zstandard_are_read(tmp_path: Path, frames: int) -> None:
    raw = json.dumps(evaluated("a", 1, "x", "C")).encode()
    path = zstandard_log(tmp_path / "log.eval", raw, frames=frames)
    assert import_file(path) == import_file(
        write_log(tmp_path / "deflated.eval", [evaluated("a", 1, "x", "C")])
    )


@pytest.mark.parametrize("claim", [10, 10_000])
def test_a_member_that_is_not_as_large_as_it_says_is_skipped(
    tmp_path: Path, claim: int
) -> None:
    raw = json.dumps(evaluated("a", 1, "x", "C")).encode()
    path = zstandard_log(tmp_path / "log.eval", raw, claim=claim)
    with pytest.raises(SchemaError, match=r"a_epoch_1\.json: damaged"):
        import_file(path)


def test_a_member_with_other_bytes_than_it_says_is_skipped(tmp_path: Path) -> None:
    raw = json.dumps(evaluated("a", 1, "x", "C")).encode()
    path = zstandard_log(tmp_path / "log.eval", raw, checked=raw.replace(b"x", b"y"))
    with pytest.raises(SchemaError, match="not the bytes that the zip says"):
        import_file(path)


def test_a_damaged_member_is_skipped_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.eval", FOUR, packing=zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b'"epoch": 1, "input"') + 12] ^= 1
    path.write_bytes(raw)
    found = import_file(path)
    assert len(found.samples) == 2
    ((where, why),) = found.skipped
    assert where == "samples/a_epoch_1.json"
    assert "damaged" in why


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = evaluated("a", 1, "x" * 100_000, "C")
    path = write_log(tmp_path / "log.eval", [one])
    monkeypatch.setattr(zipped, "_LARGEST_MEMBER", 50_000)
    with pytest.raises(SchemaError, match=r"bytes, more than the 50,000 allowed"):
        import_file(path)
    monkeypatch.setattr(zipped, "_SMALL_TOTAL", 10)
    monkeypatch.setattr(zipped, "_MOST_EXPANSION", 10)
    with pytest.raises(SchemaError, match="a zip bomb"):
        import_file(path)


def test_a_member_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.eval", [])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("samples/a_epoch_1.json", "{}")
        archive.getinfo("samples/a_epoch_1.json").file_size = 2**40
    with pytest.raises(SchemaError, match="a zip bomb"):
        import_file(path)


def test_samples_in_chunks_and_zips_of_other_things_are_refused_by_name(
    tmp_path: Path,
) -> None:
    path = write_log(tmp_path / "log.eval", FOUR)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("samples/b_epoch_1/sample.json", "{}")
    ((where, why),) = import_file(path).skipped
    assert where == "samples/b_epoch_1/sample.json"
    assert "in chunks" in why
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(SchemaError, match="no log of Inspect"):
        import_file(other)
    other.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SchemaError, match="no zip, or damaged"):
        import_file(other)
