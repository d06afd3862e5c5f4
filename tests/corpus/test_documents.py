"""Rows of every format become documents, or are refused by place, field and value."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nescio.corpus import CorpusFields, ShardSize
from nescio.corpus.documents import Document
from nescio.corpus.source import documents_of, source_of
from nescio.corpus.survey import Plan, survey
from nescio.errors import InvalidInput, NescioError, SchemaError

NAMED = CorpusFields("body", id="key", groups=("kind",), cluster="from")
ROWS = [
    {"key": "a", "body": "ab\r\ncd", "kind": "x", "from": "s1"},
    {"key": "é", "body": '猫, "quoted"', "kind": "", "from": "s2"},
]


def read(path: Path, fields: CorpusFields | None = None) -> list[Document]:
    return list(documents_of(source_of(path), fields or CorpusFields()))


def surveyed(path: Path, fields: CorpusFields | None = None, **options: Any) -> Plan:
    chosen = {"size": ShardSize(), "skip_bad": False} | options
    return survey(source_of(path), fields or CorpusFields(), **chosen)


def refusal(path: Path, fields: CorpusFields | None = None) -> str:
    with pytest.raises(NescioError) as caught:
        surveyed(path, fields)
    return str(caught.value)


def lines(path: Path, *raw: bytes) -> Path:
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def written(path: Path) -> Path:
    """The same rows in the format of the path's ending."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif ".csv" in path.suffixes:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "wt", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(ROWS[0]))
            table.writeheader()
            table.writerows(ROWS)
    else:
        raw = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.ndjson", "a.JSONL", "a.jsonl.gz", "a.csv", "a.csv.gz"]
)
def test_every_format_gives_the_same_documents(tmp_path: Path, name: str) -> None:
    found = read(written(tmp_path / name), NAMED)
    plain = read(written(tmp_path / "b.parquet"), NAMED)
    assert [d.text.decode() for d in found] == [row["body"] for row in ROWS]
    for one, other in zip(found, plain, strict=True):
        assert (one.text, one.id, one.groups, one.cluster, one.problem) == (
            other.text,
            other.id,
            other.groups,
            other.cluster,
            None,
        )
    assert [d.id for d in found] == ["a", "é"]
    assert [d.groups for d in found] == [("x",), ("",)]


def test_places_count_lines_from_one_and_blank_lines_are_no_documents(
    tmp_path: Path,
) -> None:
    path = lines(tmp_path / "a.jsonl", b"", b'{"text":"a"}', b"  \r", b'{"text":"b"}')
    assert [(d.number, d.place) for d in read(path)] == [(0, "line 2"), (1, "line 4")]


def test_a_csv_record_over_several_lines_is_placed_where_it_begins(
    tmp_path: Path,
) -> None:
    path = lines(tmp_path / "a.csv", b"text,id", b'"a', b'b",1', b"", b"c,2")
    found = read(path, CorpusFields(id="id"))
    assert [(d.place, d.text) for d in found] == [
        ("line 2", b"a\nb"),
        ("line 5", b"c"),
    ]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_byte_order_mark_and_windows_line_ends_are_no_text(
    tmp_path: Path, ending: str
) -> None:
    raw = {"jsonl": b'{"text":"ab"}\r\n', "csv": b"text\r\nab\r\n"}[ending]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"\xef\xbb\xbf" + raw)
    assert [d.text for d in read(path)] == [b"ab"]


def test_a_dotted_name_is_a_path_unless_a_field_is_called_so(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        b'{"a": {"b": "deep"}}',
        b'{"a.b": "flat", "a": {"b": "deep"}}',
    )
    assert [d.text for d in read(path, CorpusFields("a.b"))] == [b"deep", b"flat"]
    nested = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([{"a": {"b": "deep", "c": 1}}]), nested)
    assert [d.text for d in read(nested, CorpusFields("a.b"))] == [b"deep"]


def test_labels_may_be_whole_numbers_and_truths(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", b'{"text":"a","id":7,"g":true}')
    (found,) = read(path, CorpusFields(id="id", groups=("g",)))
    assert (found.id, found.groups) == ("7", ("true",))


def test_strange_keys_and_values_beside_the_text_do_no_harm(tmp_path: Path) -> None:
    strange = b'{"__proto__": {"text": 1}, "\\u0000": NaN, "text": "ok", "": [[]]}'
    assert read(lines(tmp_path / "a.jsonl", strange))[0].text == b"ok"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"other": "x"}', "there is no field 'text'; there are: 'other'"),
        (b'{"text": 7}', "a number (7), not text"),
        (b'{"text": null}', "is null"),
        (b'{"text": ["a"]}', "a list (['a'])"),
        (b'{"text": ""}', "is empty"),
        (b'{"text": "a\\ud800b"}', "lone surrogate at character 1"),
        (b'{"text": "a"', "not JSON"),
        (b'["text"]', "not an object but list"),
        (b"7" * 5000, "not JSON that can be read"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"text": "\xff"}', "not valid UTF-8 at byte 10 (0xff)"),
        ('{"text": "a"}'.encode("utf-16"), "not valid UTF-8"),
    ],
)
def test_a_bad_line_is_refused_by_its_place_and_why(
    tmp_path: Path, raw: bytes, words: str
) -> None:
    path = lines(tmp_path / "a.jsonl", b'{"text": "fine"}', raw)
    message = refusal(path)
    assert words in message
    assert "a.jsonl, line 2: " in message
    assert "--skip-bad" in message


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ('"a\\u0000b"', "control character U+0000"),
        ('"\\u001b[31mred"', "control character U+001B"),
        ('"\\u009b31m"', "control character U+009B"),
        ('"\\ud800"', "control character U+D800"),
        ("1.5", "a number (1.5)"),
        ("null", "is null"),
        (f'"{"x" * 1001}"', "has 1001 characters"),
    ],
)
@pytest.mark.parametrize("role", ["id", "group", "cluster"])
def test_names_and_groups_are_short_plain_text(
    tmp_path: Path, role: str, label: str, words: str
) -> None:
    path = lines(tmp_path / "a.jsonl", f'{{"text": "a", "k": {label}}}'.encode())
    fields = {
        "id": CorpusFields(id="k"),
        "group": CorpusFields(groups=("k",)),
        "cluster": CorpusFields(cluster="k"),
    }[role]
    assert words in refusal(path, fields)


def test_two_documents_of_one_id_are_refused_with_both_places(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        b'{"text": "a", "id": "1"}',
        b"",
        b'{"text": "b", "id": "2"}',
        b'{"text": "c", "id": 1}',
    )
    message = refusal(path, CorpusFields(id="id"))
    assert "line 4: the id '1' is that of line 1 too" in message
    plan = surveyed(path, CorpusFields(id="id"), skip_bad=True)
    assert (plan.documents, plan.refused, plan.repeated) == (3, 1, (2,))


def test_bad_rows_of_csv_are_refused_by_their_line(tmp_path: Path) -> None:
    short = lines(tmp_path / "a.csv", b"text,id", b"a,1", b"b")
    assert "line 3: 1 cells where the header has 2" in refusal(short)
    foreign = lines(tmp_path / "b.csv", b"text", b"caf\xe9")
    assert "line 2: not valid UTF-8" in refusal(foreign)
    open_ended = lines(tmp_path / "c.csv", b"text", b'"a')
    assert "not CSV" in refusal(open_ended)
    lacking = lines(tmp_path / "d.csv", b"a,b", b"1,2")
    assert "no column 'text'; its columns are: 'a', 'b'" in refusal(lacking)
    twice = lines(tmp_path / "e.csv", b"text,text", b"1,2")
    assert "'text' twice" in refusal(twice)


def test_bad_rows_of_parquet_are_refused_by_their_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100 + [None]}), path)
    assert "row 101: the field 'text' is null" in refusal(path)
    pq.write_table(pa.table({"text": [b"a"]}), path)
    assert "is bytes" in refusal(path)
    crooked = pa.array([b"ok", b"\xff"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": crooked}), path)
    assert "row 2: not valid UTF-8" in refusal(path)
    assert "no column 'body'" in refusal(path, CorpusFields("body"))
    path.write_bytes(b"PAR1 nothing of the kind PAR1")
    assert "not a Parquet file" in refusal(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.txt", "nescio trace --file"),
        ("a.json", "one object a line"),
        ("a", "a corpus is a .jsonl"),
        ("a.parquet.gz", "unpack the .gz"),
        ("a.pkl", "a corpus is a .jsonl"),
    ],
)
def test_other_formats_are_refused_with_advice(
    tmp_path: Path, name: str, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(SchemaError, match=words):
        source_of(path)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        source_of(tmp_path / "none.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(InvalidInput, match="is no file"):
        source_of(tmp_path / "folder.jsonl")


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    whole = gzip.compress(b'{"text": "abc"}\n' * 1000)
    path.write_bytes(whole[:-12])
    assert "cannot be read" in refusal(path)
    path.write_bytes(b'{"text": "abc"}\n')
    assert "cannot be read" in refusal(path)


def test_nothing_to_score_is_refused(tmp_path: Path) -> None:
    assert "holds no documents" in refusal(lines(tmp_path / "a.jsonl", b""))
    assert "holds no documents" in refusal(lines(tmp_path / "a.csv", b"text"))
    path = lines(tmp_path / "b.jsonl", b'{"t": 1}', b"}")
    with pytest.raises(SchemaError, match=r"none of 2 .* line 1: there is no field"):
        surveyed(path, skip_bad=True)


def test_a_group_of_very_many_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text":"a","g":{i}}}\n' for i in range(1001)))
    assert "more than 1000 values" in refusal(path, CorpusFields(groups=("g",)))


def test_shards_end_by_bytes_or_by_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lengths = [3, 3, 3, 20, 1, 1, 1, 1, 1]
    path.write_text("".join(f'{{"text":"{"a" * n}"}}\n' for n in lengths))
    plan = surveyed(path, size=ShardSize(bytes=7, documents=3))
    assert plan.starts == (0, 2, 3, 4, 7)
    assert plan.bytes == (6, 3, 20, 3, 2)
    assert [list(plan.documents_in(i)) for i in range(5)] == [
        [0, 1],
        [2],
        [3],
        [4, 5, 6],
        [7, 8],
    ]
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_cell_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    long = "ab" * 5_000_000
    path = tmp_path / "a.csv"
    path.write_text(f"text\n{long}\n")
    before = csv.field_size_limit()
    assert read(path)[0].text == long.encode()
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1_500, 0], pa.timestamp("ns")),
        pa.array([1_500, 0], pa.duration("ns")),
        pa.array([1_500, 0], pa.time64("ns")),
        pa.array([2**62, 0], pa.timestamp("us")),
    ],
    ids=lambda values: str(values.type),
)
def test_a_time_that_python_cannot_hold_is_a_bad_row(
    tmp_path: Path, values: pa.Array
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "when": values}), path)
    first, second = read(path, CorpusFields(groups=("when",)))
    assert str(first.problem).startswith("a value that cannot be read: ")
    assert "not text" in str(second.problem)
    assert [d.text for d in read(path)] == [b"a", b"b"]


def test_a_parquet_object_with_a_field_twice_is_refused(tmp_path: Path) -> None:
    column = pa.array(["x"])
    twice = pa.StructArray.from_arrays([column, column], names=["a", "a"])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": column, "m": twice}), path)
    assert "no column 'm.a'" in refusal(path, CorpusFields(groups=("m.a",)))
