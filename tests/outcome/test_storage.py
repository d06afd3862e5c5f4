"""Outcomes and predictions in JSON and Parquet: the same comes back, or a refusal."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.errors import InvalidInput, InvalidText, SchemaError
from nescio.outcome import (
    Outcomes,
    Predictions,
    load_outcomes,
    read_outcomes,
    read_predictions,
    write_outcomes,
    write_predictions,
)

HOSTILE = ["<script>alert(1)</script>", "", "\x00\x1b[2J\u202e", "日本 🙂\r\n'\""]
FULL = Outcomes.of(
    [0.1, 1.0, 0.0, 5e-324],
    [1, 0, 1, 0],
    ids=HOSTILE,
    groups=HOSTILE[::-1],
    cluster=["a", "a", "b", "b"],
    weight=[1e308, 0.0, 1 / 3, 2.0],
)
ROWS = Predictions.of(
    [[0.5, -math.inf, 3.25], [0.0], [1e300, -0.0]], [2, 0, 1], "logit"
)


@st.composite
def outcome_fields(draw):
    """What `Outcomes.of` takes; it is called in the test, for it may draw by chance."""
    n = draw(st.integers(1, 6))

    def column(cells):
        return draw(st.lists(cells, min_size=n, max_size=n))

    weights = draw(st.none() | st.just(column(st.floats(0, 1e300))))
    if weights is not None:
        weights[0] = 1.0
    names = {
        name: column(st.text(max_size=5)) if draw(st.booleans()) else None
        for name in ("ids", "groups", "cluster")
    }
    numbers = {"confidence": column(st.floats(0, 1)), "correct": column(st.booleans())}
    return numbers | {"weight": weights} | names


@st.composite
def any_predictions(draw):
    width = draw(st.sampled_from([16, 32, 64]))
    cell = st.floats(width=width, allow_nan=False, max_value=100) | st.just(-math.inf)
    rows = draw(st.lists(st.lists(cell, max_size=4), min_size=1, max_size=6))
    rows = [[0.0, *row] for row in rows]
    labels = [draw(st.integers(0, len(row) - 1)) for row in rows]
    flat = np.array([score for row in rows for score in row], f"float{width}")
    ends = np.cumsum([0, *map(len, rows)])
    return Predictions(flat, ends, np.array(labels), "logit")


def through_json(values):
    return json.loads(json.dumps(values, allow_nan=False))


def bits(thing):
    """Every array with its type and bytes: equality beyond ==."""
    names = ("confidence", "correct", "weight", "scores", "offsets", "labels")
    arrays = [getattr(thing, name, None) for name in names]
    return [None if a is None else (a.dtype.name, a.tobytes()) for a in arrays]


@given(outcome_fields())
def test_any_outcomes_survive_json(fields):
    outcomes = Outcomes.of(**fields)
    found = Outcomes.from_dict(through_json(outcomes.to_dict()))
    assert found == outcomes
    assert bits(found) == bits(outcomes)


@given(any_predictions())
def test_any_predictions_survive_json(predictions):
    found = Predictions.from_dict(through_json(predictions.to_dict()))
    assert found == predictions
    assert bits(found) == bits(predictions)


@settings(max_examples=25, deadline=None)
@given(fields=outcome_fields())
def test_any_outcomes_survive_parquet(tmp_path_factory, fields):
    outcomes = Outcomes.of(**fields)
    path = tmp_path_factory.mktemp("outcomes") / "o.parquet"
    write_outcomes(path, outcomes)
    found = load_outcomes(path)
    assert found == outcomes
    assert bits(found) == bits(outcomes)


@settings(max_examples=25, deadline=None)
@given(predictions=any_predictions(), group=st.integers(1, 4))
def test_any_predictions_survive_parquet(tmp_path_factory, predictions, group):
    path = tmp_path_factory.mktemp("predictions") / "p.parquet"
    write_predictions(path, predictions, group=group)
    found = read_predictions(path)
    assert found == predictions
    assert bits(found) == bits(predictions)


def test_hostile_names_come_back_letter_by_letter(tmp_path):
    write_outcomes(tmp_path / "o.parquet", FULL)
    assert load_outcomes(tmp_path / "o.parquet") == FULL
    assert Outcomes.from_dict(through_json(FULL.to_dict())).ids == tuple(HOSTILE)


def test_read_outcomes_reads_what_was_written_too(tmp_path):
    plain = Outcomes.of([0.25, 1.0], [0, 1], groups=["x", "y"], weight=[1.0, 2.0])
    write_outcomes(tmp_path / "o.parquet", plain)
    columns = {name: name for name in ("confidence", "correct", "weight")}
    assert read_outcomes(tmp_path / "o.parquet", group="groups", **columns) == plain


def test_a_file_written_here_says_what_it_is_and_comes_in_row_groups(tmp_path):
    path = tmp_path / "p.parquet"
    write_predictions(path, ROWS, group=2)
    with pq.ParquetFile(path) as file:
        assert file.num_row_groups == 2
        assert file.schema_arrow.metadata[b"nescio.schema"] == b"predictions/1"
        assert file.schema_arrow.metadata[b"nescio.scale"] == b"logit"
        assert file.read()["scores"].to_pylist() == [
            [0.5, -math.inf, 3.25],
            [0.0],
            [1e300, -0.0],
        ]
    write_outcomes(tmp_path / "o.parquet", Outcomes.of([0.5], [1]))
    schema = pq.read_schema(tmp_path / "o.parquet")
    assert schema.names == ["confidence", "correct"]
    assert schema.metadata[b"nescio.schema"] == b"outcomes/1"


def test_half_precision_probabilities_survive_although_they_sum_to_less(tmp_path):
    thirds = np.full(3, 1 / 3, np.float16)
    rows = Predictions(thirds, np.array([0, 3]), np.array([1]), "probability")
    assert abs(float(thirds.astype(np.float64).sum()) - 1) > 1e-4
    assert bits(Predictions.from_dict(through_json(rows.to_dict()))) == bits(rows)
    write_predictions(tmp_path / "p.parquet", rows)
    assert bits(read_predictions(tmp_path / "p.parquet")) == bits(rows)


def test_outcomes_of_single_precision_are_widened_so_that_files_keep_them():
    narrow = np.array([0.1], np.float32)
    outcomes = Outcomes(narrow, np.array([True]), weight=narrow)
    assert outcomes.confidence.dtype == outcomes.weight.dtype == np.float64
    assert outcomes.confidence[0] == float(np.float32(0.1))


@pytest.mark.parametrize("name", ["ids", "groups", "cluster"])
def test_a_name_without_utf8_bytes_is_refused(name):
    with pytest.raises(InvalidText, match=rf"{name}\[1\] .* lone surrogate"):
        Outcomes.of([0.5, 0.5], [1, 0], **{name: ["a", "\ud800"]})


NO_LIST = [..., 3, "x", {}, [{}], [[]], [None] * 4]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, v) for name in ("confidence", "correct") for v in [*NO_LIST, None]),
        *((name, v) for name in ("ids", "cluster", "weight") for v in NO_LIST),
        ("confidence", [0.1, True, 0.0, 0.5]),
        ("confidence", [0.1, "0.5", 0.0, 0.5]),
        ("confidence", [0.1, "-Infinity", 0.0, 0.5]),
        ("confidence", [0.1, math.nan, 0.0, 0.5]),
        ("confidence", [0.1, 10**400, 0.0, 0.5]),
        ("confidence", [0.1, 1.5, 0.0, 0.5]),
        ("confidence", []),
        ("confidence", [0.5]),
        ("correct", [1, 0, 1, 0]),
        ("correct", ["true"] * 4),
        ("ids", ["a", "b", "c"]),
        ("ids", ["a", "b", "c", "\ud800"]),
        ("ids", [1, 2, 3, 4]),
        ("weight", [0.0] * 4),
        ("unheard of", 1),
    ],
)
def test_a_dict_that_is_not_of_outcomes_is_refused(name, value):
    fields = FULL.to_dict()
    if value is ...:
        del fields[name]
    else:
        fields[name] = value
    with pytest.raises(SchemaError):
        Outcomes.from_dict(fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, v) for name in ("scores", "labels") for v in [*NO_LIST, None]),
        ("scores", [[1.0, True, 2.0], [0.0], [1.0, 2.0]]),
        ("scores", [[1.0, "2", 2.0], [0.0], [1.0, 2.0]]),
        ("scores", [[1.0, math.nan, 2.0], [0.0], [1.0, 2.0]]),
        ("scores", [[1.0, math.inf, 2.0], [0.0], [1.0, 2.0]]),
        ("scores", [[1.0, 10**5000, 2.0], [0.0], [1.0, 2.0]]),
        ("scores", [[1.0, 1.0, 2.0], [], [1.0, 2.0]]),
        ("scores", [[1.0, 1.0, 2.0], ["-Infinity"], [1.0, 2.0]]),
        ("scores", [[1.0, 1.0, 2.0], [1.0]]),
        ("labels", [2, 0, 2]),
        ("labels", [2, 0, -1]),
        ("labels", [2, 0, True]),
        ("labels", [2, 0, 1.0]),
        ("labels", [2, 0, 2**63]),
        ("scale", "probability"),
        ("scale", "log"),
        ("scale", ["logit"]),
        ("dtype", "float16"),
        ("dtype", "O"),
        ("dtype", None),
        ("unheard of", 1),
    ],
)
def test_a_dict_that_is_not_of_predictions_is_refused(name, value):
    fields = ROWS.to_dict()
    if value is ...:
        del fields[name]
    else:
        fields[name] = value
    with pytest.raises(SchemaError):
        Predictions.from_dict(fields)


@pytest.mark.parametrize("fields", [None, [], "x", 3, {}, {1: 2}])
@pytest.mark.parametrize("kind", [Outcomes, Predictions])
def test_what_is_no_object_of_fields_is_refused(kind, fields):
    with pytest.raises(SchemaError):
        kind.from_dict(fields)


def test_a_refusal_names_the_field_and_the_row():
    with pytest.raises(SchemaError, match=r"confidence\[1\] is a number, not '0\.5'"):
        Outcomes.from_dict(FULL.to_dict() | {"confidence": [0.1, "0.5", 0.1, 0.1]})
    with pytest.raises(SchemaError, match=r"scores\[1\]\[0\] is a number, not None"):
        Predictions.from_dict(ROWS.to_dict() | {"scores": [[1.0], [None]]})


READERS = [load_outcomes, read_predictions]


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_is_missing_or_of_another_kind_is_refused(tmp_path, read):
    with pytest.raises(InvalidInput, match="no such file"):
        read(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(SchemaError, match=r"a\.parquet: not"):
        read(tmp_path / "a.parquet")
    pq.write_table(pa.table({"confidence": [0.5]}), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match="its schema is b''"):
        read(tmp_path / "b.parquet")


def test_outcomes_are_no_predictions_and_the_other_way_round(tmp_path):
    path = tmp_path / "x.parquet"
    write_outcomes(path, FULL)
    with pytest.raises(SchemaError, match="its schema is b'outcomes'"):
        read_predictions(path)
    write_predictions(path, ROWS)
    with pytest.raises(SchemaError, match="its schema is b'predictions'"):
        load_outcomes(path)


def rewritten(path, columns, schema, scale=b"logit"):
    metadata = {b"nescio.schema": schema, b"nescio.scale": scale}
    table = pa.Table.from_arrays(
        [pa.array(cells, kind) for _, cells, kind in columns],
        [name for name, _, _ in columns],
    )
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


SURE = ("confidence", [0.5], pa.float64())
RIGHT = ("correct", [True], pa.bool_())


@pytest.mark.parametrize(
    ("columns", "schema", "message"),
    [
        ([SURE, RIGHT], b"outcomes/2", "schema 2 is newer than 1"),
        ([SURE, RIGHT], b"outcomes/x", "its schema is"),
        ([SURE], b"outcomes/1", "its columns are"),
        ([SURE, RIGHT, RIGHT], b"outcomes/1", "its columns are"),
        ([SURE, RIGHT, ("z", [1], pa.int8())], b"outcomes/1", "its columns are"),
        ([("confidence", [1], pa.int64()), RIGHT], b"outcomes/1", "is int64"),
        ([("confidence", [None], pa.float64()), RIGHT], b"outcomes/1", "lacks 1"),
        ([("confidence", [1.5], pa.float64()), RIGHT], b"outcomes/1", "is 1.5"),
        ([SURE, ("correct", [None], pa.bool_())], b"outcomes/1", "lacks 1"),
        ([SURE, RIGHT, ("ids", [None], pa.string())], b"outcomes/1", "lacks 1"),
        ([("confidence", [], pa.float64()), ("correct", [], pa.bool_())],
         b"outcomes/1", "0 rows"),
    ],
)  # fmt: skip
def test_a_file_of_outcomes_that_are_none_is_refused(
    tmp_path, columns, schema, message
):
    path = rewritten(tmp_path / "o.parquet", columns, schema)
    with pytest.raises(SchemaError, match=message):
        load_outcomes(path)


LISTS = pa.large_list(pa.float64())
LABEL = ("label", [0], pa.int64())


@pytest.mark.parametrize(
    ("columns", "scale", "message"),
    [
        ([("scores", [[0.5]], LISTS)], b"logit", "its columns are"),
        ([("scores", [0.5], pa.float64()), LABEL], b"logit", "is double"),
        ([("scores", [None], LISTS), LABEL], b"logit", "lacks 1"),
        ([("scores", [[0.5, None]], LISTS), LABEL], b"logit", "lacks 1"),
        ([("scores", [[]], LISTS), LABEL], b"logit", "offsets"),
        ([("scores", [[math.nan]], LISTS), LABEL], b"logit", "nan"),
        ([("scores", [[0.5]], LISTS), LABEL], b"probability", "sums to 0.5"),
        ([("scores", [[0.5]], LISTS), LABEL], b"loud", "loud"),
        ([("scores", [[0.5]], LISTS), LABEL], b"\xff", "utf-8"),
        ([("scores", [[0.5]], LISTS), ("label", [1], pa.int64())], b"logit",
         "labels"),
        ([("scores", [[0.5]], LISTS), ("label", [None], pa.int64())], b"logit",
         "lacks 1"),
        ([("scores", [], LISTS), ("label", [], pa.int64())], b"logit", "0 rows"),
    ],
)  # fmt: skip
def test_a_file_of_predictions_that_are_none_is_refused(
    tmp_path, columns, scale, message
):
    path = rewritten(tmp_path / "p.parquet", columns, b"predictions/1", scale)
    with pytest.raises(SchemaError, match=message):
        read_predictions(path)


def test_a_byte_changed_in_the_data_is_noticed(tmp_path):
    path = tmp_path / "p.parquet"
    rows = Predictions.of([[float(i), 0.5] for i in range(40)], [0] * 40, "logit")
    write_predictions(path, rows)
    whole = path.read_bytes()
    data = pq.read_metadata(path).row_group(0).column(0)
    last = data.data_page_offset + data.total_compressed_size // 2
    for place in range(last - 5, last):
        flipped = bytes([whole[place] ^ 1])
        path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        with pytest.raises(SchemaError, match=r"p\.parquet: .*damaged"):
            read_predictions(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SchemaError, match="damaged"):
        read_predictions(path)


def test_a_row_group_of_no_rows_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="at least 1 row, not 0"):
        write_predictions(tmp_path / "p.parquet", ROWS, group=0)
