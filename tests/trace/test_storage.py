"""Traces on disk: nothing changes on the way, and what is damaged is refused."""

import base64
import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.errors import InvalidInput, SchemaError
from nescio.trace import SCHEMA_VERSION, TraceWriter, read_traces, write_traces
from nescio.trace.encoding import from_dict, to_dict
from tests.trace.golden import GOLDEN, full_trace, golden_traces
from tests.traces import make_candidates, make_trace

TRACES = golden_traces()
FINITE = st.floats(-50, 0, width=32)


@st.composite
def token_lists(draw):
    """Tokens, log-probabilities (some impossible) and which tokens are unscored."""
    tokens = draw(st.lists(st.binary(max_size=4), max_size=8))
    n = len(tokens)
    logp = draw(st.lists(FINITE | st.just(-math.inf), min_size=n, max_size=n))
    unscored = draw(st.sets(st.integers(0, n - 1), max_size=n)) if n else set()
    return tokens, logp, sorted(unscored)


def built(tokens, logp, unscored):
    return make_trace(tokens, logp, unscored=unscored, entropy=1.25)


@pytest.mark.parametrize("trace", TRACES, ids=["full", "bare", "bounds", "empty"])
def test_json_gives_back_the_same_trace(trace):
    written = json.dumps(to_dict(trace), allow_nan=False)
    assert from_dict(json.loads(written)) == trace


def test_parquet_gives_back_the_same_traces_in_order(tmp_path):
    path = tmp_path / "t.parquet"
    write_traces(path, TRACES)
    assert tuple(read_traces(path)) == TRACES


@given(token_lists())
def test_any_trace_survives_json(fields):
    trace = built(*fields)
    assert from_dict(json.loads(json.dumps(to_dict(trace), allow_nan=False))) == trace


@settings(deadline=None, max_examples=25)
@given(many=st.lists(token_lists(), max_size=5))
def test_any_traces_survive_parquet(tmp_path_factory, many):
    path = tmp_path_factory.mktemp("traces") / "t.parquet"
    traces = tuple(built(*fields) for fields in many)
    write_traces(path, traces)
    assert tuple(read_traces(path)) == traces


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_the_golden_files_of_every_schema_are_read(version):
    assert tuple(read_traces(GOLDEN.with_name(f"trace_v{version}.parquet"))) == TRACES


def test_empty_candidates_stay_empty_candidates(tmp_path):
    trace = make_trace(["a", "b"], -1.0, candidates=make_candidates([[], []]))
    write_traces(tmp_path / "t.parquet", [trace])
    (found,) = read_traces(tmp_path / "t.parquet")
    assert found == trace
    assert found.candidates.at(1) == []


def test_no_traces_are_a_file_of_none(tmp_path):
    write_traces(tmp_path / "t.parquet", [])
    assert list(read_traces(tmp_path / "t.parquet")) == []


def test_traces_are_written_by_row_group_and_read_lazily(tmp_path):
    path = tmp_path / "t.parquet"
    with TraceWriter(path, group=4) as writer:
        for _ in range(10):
            writer.write(full_trace())
    assert [pq.ParquetFile(path).metadata.row_group(i).num_rows for i in range(3)] == [
        4,
        4,
        2,
    ]
    first = next(read_traces(path))
    assert first == full_trace()


def test_an_error_between_traces_keeps_what_came_before(tmp_path):
    path = tmp_path / "t.parquet"

    def three_and_an_error():
        yield from [full_trace()] * 3
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_traces(path, three_and_an_error())
    assert len(list(read_traces(path))) == 3


def test_a_writer_killed_before_its_end_leaves_a_file_that_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    code = (
        "import os, signal, sys\n"
        "from nescio.trace import TraceWriter\n"
        "from tests.trace.golden import full_trace\n"
        "writer = TraceWriter(sys.argv[1], group=1)\n"
        "for _ in range(5):\n"
        "    writer.write(full_trace())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert run.returncode < 0
    assert path.stat().st_size > 0
    with pytest.raises(SchemaError, match=r"t\.parquet: .* never closed"):
        list(read_traces(path))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"p,y\n0.5,1\n", b"PAR1" * 100])
def test_what_is_no_parquet_is_refused(tmp_path, content):
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(SchemaError, match=r"t\.parquet: not a Parquet file"):
        list(read_traces(path))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_damage_inside_the_file_is_refused_or_harmless(tmp_path, version):
    whole = GOLDEN.with_name(f"trace_v{version}.parquet").read_bytes()
    path = tmp_path / "t.parquet"
    refused = 0
    for place in range(4, len(whole) - 8, 97):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        )
        try:
            list(read_traces(path))
        except SchemaError:
            refused += 1
    assert refused > 10


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        next(read_traces(tmp_path / "t.parquet"))
    with pytest.raises(InvalidInput, match="no such file"):
        next(read_traces(tmp_path))


def test_another_programs_parquet_is_refused(tmp_path):
    pq.write_table(pa.table({"buffer": [b"x"]}), tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match="not one of nescio's traces"):
        next(read_traces(tmp_path / "t.parquet"))


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("3", "schema 3 is newer than 2"),
        ("2", r"t\.parquet: .*'schema_version' is not there"),
        ("1", r"t\.parquet: .*'schema_version' is not there"),
        ("0", "not one of"),
        ("one", "not one of"),
    ],
)
def test_metadata_that_do_not_fit_the_columns_are_refused(tmp_path, version, message):
    table = pa.table({"buffer": [b"x"]}).replace_schema_metadata(
        {"nescio.schema": version}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match=message):
        next(read_traces(tmp_path / "t.parquet"))


@pytest.mark.parametrize("name", list(to_dict(full_trace())))
@pytest.mark.parametrize("value", [..., 7, "x", [], {}, [[]], {"a": 1}, None, [1, "x"]])
def test_a_field_that_is_missing_or_something_else_never_crashes(name, value):
    fields = to_dict(full_trace())
    if value is ...:
        del fields[name]
        with pytest.raises(SchemaError):
            from_dict(fields)
        return
    try:
        found = from_dict(fields | {name: value})
    except SchemaError:
        return
    # What may be absent or empty is; nothing else was taken for something it is not.
    assert getattr(found, name) in (None, {}, ()) or value == fields[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offsets", [0, 0.0, 8, 10, 13, 14, 16, 16]),
        ("token_ids", [2**40] * 7),
        ("scored", [0, 0, 1, 1, 1, 1, 1]),
        ("schema_version", 3),
        ("schema_version", "1"),
        ("buffer", "not base64!"),
        ("buffer", base64.b64encode(b"another length").decode()),
        ("stop", "bored"),
        ("logp", ["nan", -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]),
        ("renyi", [[1.0]] * 7),
        ("renyi", [[1.0, 2.0]] * 6),
    ],
)
def test_a_value_that_cannot_be_is_refused(name, value):
    fields = to_dict(full_trace()) | {name: value}
    with pytest.raises(SchemaError):
        from_dict(fields)


def test_what_is_no_object_is_refused():
    for thing in ({}, {"schema_version": 1}):
        with pytest.raises(SchemaError, match="not a trace written by nescio"):
            from_dict(thing)


def test_single_precision_is_kept_bit_by_bit():
    rng = np.random.default_rng(0)
    trace = make_trace(["x"] * 500, -rng.exponential(size=500))
    again = from_dict(json.loads(json.dumps(to_dict(trace))))
    assert again.logp.dtype == np.float32
    assert (again.logp.view(np.uint32) == trace.logp.view(np.uint32)).all()
    assert replace(again, stop="eos") != trace


def hostile(kind):
    """Values of one column that no trace has."""
    strange = ["", "7", "[[1, 2]]", '{"a": "b"}', "[" * 100_000, "NaN", None]
    if pa.types.is_string(kind):
        return [*strange, '{"%s": "x"}' % ("9" * 5000)]
    if pa.types.is_binary(kind):
        return [b"another length", None]
    if not pa.types.is_list(kind):
        return [None, -1, 2**31 - 1]
    if pa.types.is_boolean(kind.value_type):
        return [None, [], [True] * 99, [None] * 7]
    return [None, [], [1] * 99, [3, 2, 1, 0, 0, 0, 0], [-7] * 7, [-7] * 8, [None] * 7]


@pytest.mark.parametrize("name", pq.read_schema(GOLDEN).names)
def test_a_column_of_something_else_is_refused_or_harmless(tmp_path, name):
    path = tmp_path / "t.parquet"
    write_traces(path, [full_trace()])
    table = pq.read_table(path)
    place, field = table.schema.get_field_index(name), table.schema.field(name)
    for value in hostile(field.type):
        column = pa.array([value], field.type)
        pq.write_table(table.set_column(place, field, column), path)
        try:
            (found,) = read_traces(path)
        except SchemaError as error:
            assert str(error).startswith("t.parquet: ")  # noqa: PT017
            continue
        assert len(found) == len(full_trace())
        assert found.buffer == full_trace().buffer
    for kind in (pa.int64(), pa.string(), pa.list_(pa.list_(pa.int8()))):
        if kind != field.type:
            other = pa.field(name, kind)
            pq.write_table(table.set_column(place, other, pa.nulls(1, kind)), path)
            with pytest.raises(SchemaError, match="is not there or is no"):
                next(read_traces(path))


def test_a_flipped_bit_in_a_page_is_never_read_as_a_number(tmp_path):
    path = tmp_path / "t.parquet"
    write_traces(path, TRACES)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for place in range(4, footer, 13):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
        try:
            assert tuple(read_traces(path)) == TRACES  # what no reader looks at
        except SchemaError:
            refused += 1
    assert refused > 100


def test_long_traces_make_smaller_row_groups(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    trace = make_trace(
        ["a"] * 40, -1.0, candidates=make_candidates([[(b"b", -1.0)] * 3] * 40)
    )
    monkeypatch.setattr("nescio.trace.storage._LARGE", 300)
    write_traces(path, [trace] * 5)
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(i).num_rows for i in range(3)] == [2, 2, 1]
    assert list(read_traces(path)) == [trace] * 5


def test_more_than_arrow_can_count_is_refused_and_the_rest_kept(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    monkeypatch.setattr("nescio.trace.layout.MOST_ELEMENTS", 100)
    few, many = make_trace(["a"] * 20, -1.0), make_trace(["a"] * 101, -1.0)
    with TraceWriter(path, group=1) as writer:
        writer.write(few)
        with pytest.raises(InvalidInput, match="do not fit one group of rows"):
            writer.write(many)
    assert list(read_traces(path)) == [few]
