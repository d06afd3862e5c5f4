"""Files that nobody should trust: each is refused by name, or read without it."""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nescio.errors import InvalidInput, NescioError, SchemaError
from nescio.imports import FORMATS, Imported, entries, import_file, zipped
from nescio.imports.zipped import is_zip
from tests.imports.making import (
    FILES,
    answered,
    chat,
    completion,
    evaluated,
    header,
    question,
    write_lines,
)

SECRET = re.compile(rb'"/(?:home|mnt|opt|root|srv|tmp|usr|var|Users)/|file:|127\.0\.0')
"""A text that begins as a path does, or an address of the machine itself."""
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \n\n", "there is nothing in it|not JSON"),
        (b"hello\nworld\n", "line 1: not JSON"),
        (b"\xff\xfe\x00", "line 1: not valid UTF-8 at byte 0"),
        (b"3\n", "no object and no array"),
        (b"{}\n", "line 1 has the fields"),
        (b"[]", "there is nothing in it"),
        (b"[3]", "not an object"),
        (b'{"a": 1', "line 1: not JSON"),
        (DEEP.encode(), "nested too deeply"),
        (b'{"choices": [' + b"9" * 5000 + b"]}", "not JSON that can be read"),
        (b"PK\x03\x04 and so on", "no zip, or damaged"),
        (b'{"choices": []}', "no answer in a shape"),
        (b'{"choices": {}}', "no answer in a shape"),
        (b'{"choices": [{"message": null}]}', "message should be an object"),
        (b'{"error": {"message": "overloaded"}, "choices": []}', "overloaded"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_is_refused(
    tmp_path: Path, raw: bytes, message: str
) -> None:
    path = tmp_path / "stored.jsonl"
    path.write_bytes(raw)
    with pytest.raises(SchemaError, match=rf"(?s)stored\.jsonl: .*({message})"):
        import_file(path)


def test_a_directory_a_pipe_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a directory"):
        import_file(tmp_path)
    with pytest.raises(InvalidInput, match="no such file"):
        import_file(tmp_path / "none.jsonl")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidInput, match="no such file"):
        import_file(pipe)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "b", "choi', "not JSON"),
        (DEEP, "nested too deeply"),
        ("[]", "not an object but an array"),
        (chat("b"), "the id 'chatcmpl-1' stands on line 1 too"),
        (chat("b", id=["x"]), "its id is ['x']"),
        (chat("b\ud800", id="b"), "lone surrogate"),
        (chat("b", id="b\ud800"), "lone surrogate"),
        (chat("b", id=""), "its id is ''"),
        (chat(id="b"), "no answer in a shape"),
        ({"id": "b", "choices": [{"text": 3}]}, "text should be a text"),
        (chat("b", id="b") | {"choices": [{"message": {"content": None}}]}, "content"),
    ],
)
def test_a_bad_line_is_skipped_by_number_and_the_rest_is_read(
    tmp_path: Path, line: object, message: str
) -> None:
    path = write_lines(tmp_path / "s.jsonl", chat("a"), "", line)
    found = import_file(path)
    assert [samples.texts for _, samples in found.samples] == [("a",)]
    ((where, why),) = found.skipped
    assert where == "line 3"
    assert message in why


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("token_logprobs", [math.nan], "log-probability nan"),
        ("token_logprobs", [0.5], "at most 0"),
        ("token_logprobs", ["-1"], "should be a number"),
        ("token_logprobs", [-1.0, -1.0], "do not belong together"),
        ("tokens", [" 1\ufffd"], "part of a character"),
        ("tokens", ["\ud800"], "lone surrogate"),
        ("top_logprobs", [{" 12": 3.0}], "at most 0"),
        ("top_logprobs", [{" 12": -0.1, " 13": -0.1}], "what the source says"),
        ("top_logprobs", [[]], "should be an object"),
    ],
)
def test_numbers_that_cannot_be_are_refused_and_the_text_is_kept(
    tmp_path: Path, name: str, value: object, message: str
) -> None:
    body = completion()
    body["choices"][0]["logprobs"][name] = value
    found = import_file(write_lines(tmp_path / "s.jsonl", body))
    assert found.samples[0][1].texts == (" 12",)
    assert found.traces == ()
    ((where, why),) = found.skipped
    assert where.startswith("line 1, ")
    assert "log-probabilities" in where
    assert message in why


def test_markup_and_escape_codes_are_text_and_nothing_else(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>\x1b[31m\u202e"
    path = write_lines(tmp_path / "s.jsonl", completion(nasty, top={nasty: 0.5}))
    found = import_file(path)
    assert found.samples[0][1].texts == (nasty,)
    assert "<script>" not in found.samples[0][1]._repr_html_()
    assert "<script>" not in found.traces[0]._repr_html_()
    assert "<script>" not in found._repr_html_()


def test_a_line_of_ten_megabytes_is_read_and_a_longer_one_than_allowed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        chat("a"),
        chat("b" * 10_000_000, id="b"),
        chat("c", id="c"),
    )
    assert len(import_file(path).samples) == 3
    monkeypatch.setattr(entries, "_LONGEST_LINE", 1000)
    found = import_file(path)
    assert [item for item, _ in found.samples] == ["chatcmpl-1", "c"]
    assert found.skipped == (("line 2", "longer than 1,000 bytes: it is not read"),)


def test_a_single_document_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps([chat("a")], indent=1), encoding="utf-8")
    monkeypatch.setattr(entries, "_LARGEST_DOCUMENT", 10)
    with pytest.raises(SchemaError, match="one object a line"):
        import_file(path)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(width=32)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
SOUND = (
    completion(),
    chat("a"),
    answered("a", chat("b")),
    question(0, [-1.0, -2.0], "0", acc=1.0),
    header(samples=[evaluated("a", 1, "x", "C")]),
)


def places(value: object, so_far: tuple = ()) -> list[tuple]:
    """Every place within nested objects and arrays."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [so_far, *(p for k, v in inner for p in places(v, (*so_far, k)))]


@given(data=st.data(), sound=st.sampled_from(SOUND), other=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_field_is_read_or_refused(
    tmp_path: Path, data: st.DataObject, sound: dict, other: object
) -> None:
    entry = json.loads(json.dumps(sound))
    *way, last = data.draw(st.sampled_from(places(entry)[1:]))
    holder = entry
    for step in way:
        holder = holder[step]
    holder[last] = other
    path = write_lines(tmp_path / "s.jsonl", entry)
    found = read_or_reason(path)
    if isinstance(found, str):
        assert "s.jsonl" in found
    else:
        scored = [trace.logp[trace.scored] for trace in found.traces]
        assert not any(math.isnan(logp) for logps in scored for logp in logps)


def read_or_reason(path: Path) -> Imported | str:
    """What was read, or the refusal."""
    try:
        return import_file(path)
    except NescioError as error:
        return str(error)


@given(cut=st.integers(1, 2000), name=st.sampled_from(sorted(FORMATS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_anywhere_is_read_in_part_or_refused(
    tmp_path: Path, cut: int, name: str
) -> None:
    lines = [answered("a", chat("b")), answered("ä", completion())]
    raw = write_lines(tmp_path / "whole.jsonl", *lines).read_bytes()
    path = tmp_path / "cut.jsonl"
    kept = raw[: cut % len(raw) + 1]
    path.write_bytes(kept)
    for wanted in (None, name):
        try:
            found = import_file(path, format=wanted)
        except NescioError:
            continue
        answers = sum(len(samples) for _, samples in found.samples)
        assert answers + len(found.skipped) >= kept.count(b"\n")


def test_the_real_files_hold_no_path_and_no_host() -> None:
    checked = list(FILES.iterdir())
    assert len(checked) > 5
    for path in checked:
        parts: list[bytes | str] = [path.read_bytes()]
        if is_zip(path):
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
                parts += [zipped._member(path, archive, info) for info in infos]
        for part in parts:
            assert isinstance(part, bytes), part
            assert not SECRET.search(part), path.name
