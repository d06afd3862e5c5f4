"""What is asked and what comes back: prompts and samples."""

import json
import math
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import InvalidInput, InvalidText, SchemaError
from nescio.trace import Message, Prompt, Sample, Samples
from tests.trace.golden import full_trace

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "7 + 5 = ?"},
]


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        (Prompt(text=""), "text"),
        (Prompt(text="日本 \x00 🙂"), "text"),
        (Prompt.of(CHAT), "messages"),
        (Prompt(source="Guten Tag", target_prefix="Good"), "source"),
    ],
)
def test_a_prompt_is_one_thing_and_survives_json(prompt, kind):
    assert prompt.kind == kind
    assert Prompt.of(prompt) is prompt
    assert Prompt.from_dict(json.loads(json.dumps(prompt.to_dict()))) == prompt


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "0 were given"),
        ({"text": "a", "source": "b"}, "2 were given"),
        ({"text": "a", "messages": (Message("user", "b"),)}, "2 were given"),
        ({"text": "a", "target_prefix": "b"}, "target_prefix goes with source"),
    ],
)
def test_a_prompt_of_nothing_or_of_two_things_is_refused(fields, message):
    with pytest.raises(InvalidInput, match=message):
        Prompt(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "a\ud800b"},
        {"source": "\udc80"},
        {"source": "a", "target_prefix": "\ud800"},
        {"messages": (Message("user", "\udfff"),)},
    ],
)
def test_a_lone_surrogate_is_refused_where_it_is_asked(fields):
    with pytest.raises(InvalidText, match="lone surrogate at character"):
        Prompt(**fields)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "0 were given"),
        ([{"role": "user"}], "'role' and 'content'"),
        ([{"role": "king", "content": "x"}], "king"),
        ([{"role": "user", "content": None}], "content is text"),
        (["hello"], "'role' and 'content'"),
    ],
)
def test_messages_that_are_none_are_refused(messages, message):
    with pytest.raises((InvalidInput, TypeError), match=message):
        Prompt.of(messages)


def samples():
    return Samples(
        Prompt(text="7 + 5 ="),
        (
            Sample("12", "smollm2", "a", 0, full_trace(), -0.5, -3.25, 7),
            Sample("日本\n", draw=1, log_weight=-math.inf, total_logp=-math.inf),
            Sample("", draw=2, total_logp=0.0, token_count=0),
        ),
    )


def test_samples_survive_json_lines(tmp_path):
    path = tmp_path / "s.jsonl"
    bare = Samples.of("q\u2028", ["a\nb", "c\u2029", "\x00"], model="m")
    samples().write(path)
    bare.write(path)
    assert Samples.read(path) == (samples(), bare)
    assert len(path.read_text().splitlines()) == 2


@given(st.text(), st.lists(st.text(), min_size=1, max_size=4))
def test_any_texts_survive_json(prompt, texts):
    original = Samples.of(prompt, texts)
    written = json.dumps(original.to_dict(), allow_nan=False)
    assert Samples.from_dict(json.loads(written)) == original
    assert original.texts == tuple(texts)


def test_no_samples_and_one_text_for_several_are_refused():
    with pytest.raises(InvalidInput, match="no samples"):
        Samples.of("q", [])
    with pytest.raises(InvalidInput, match="give a list"):
        Samples.of("q", "abc")


@pytest.mark.parametrize(
    "fields",
    [
        {"log_weight": math.nan},
        {"log_weight": math.inf},
        {"total_logp": math.nan},
        {"total_logp": 0.5},
        {"total_logp": math.inf},
    ],
)
def test_a_weight_or_probability_that_cannot_be_is_refused(fields):
    with pytest.raises(InvalidInput, match="draw 3"):
        Sample("x", draw=3, **fields)


@pytest.mark.parametrize("name", ["prompt", "answers"])
@pytest.mark.parametrize("value", [..., None, "x", 1, [], [1], {}, [{}], {"text": 3}])
def test_a_field_that_is_missing_or_something_else_is_refused(name, value):
    fields = samples().to_dict()
    if value is ...:
        del fields[name]
    else:
        fields[name] = value
    with pytest.raises((SchemaError, InvalidInput)):
        Samples.from_dict(fields)


@pytest.mark.parametrize(
    "line", ["{", "[]", "null", '"x"', "7", "[" * 100_000, '{"prompt": {}}']
)
def test_a_line_that_is_no_samples_is_named(tmp_path, line):
    path = tmp_path / "s.jsonl"
    samples().write(path)
    with path.open("a") as file:
        file.write(line)
    with pytest.raises(SchemaError, match=r"s\.jsonl line 2"):
        Samples.read(path)


def test_a_line_that_broke_off_is_named(tmp_path):
    path = tmp_path / "s.jsonl"
    samples().write(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SchemaError, match=r"s\.jsonl line 1"):
        Samples.read(path)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        Samples.read(tmp_path / "s.jsonl")
    (tmp_path / "s.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(SchemaError, match="not UTF-8"):
        Samples.read(tmp_path / "s.jsonl")


def test_html_shows_hostile_answers_and_runs_none_of_them():
    shown = Samples.of("q", ["<script>alert(1)</script>", "\x1b[2J"])._repr_html_()
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "&lt;script&gt;" in shown


def test_samples_are_frozen_and_equal_by_value():
    assert samples() == samples()
    assert replace(samples(), answers=samples().answers[:1]) != samples()
    with pytest.raises(FrozenInstanceError):
        samples().prompt = Prompt(text="x")


@pytest.mark.parametrize(
    ("prompt", "labels"),
    [
        (Prompt(text="<b>\x1b[2J\u202e\na"), ["text"]),
        (
            Prompt.of([CHAT[0], {"role": "user", "content": "<b>\x1b[2J\u202e\na"}]),
            ["system", "user"],
        ),
        (Prompt(source="<b>\x1b[2J\u202e\na", target_prefix="x"), ["source", "target"]),
        (Prompt(source="x", target_prefix="<b>\x1b[2J\u202e\na"), ["source", "target"]),
    ],
)
def test_html_shows_a_hostile_prompt_and_runs_none_of_it(prompt, labels):
    shown = prompt._repr_html_()
    assert not any(active in shown for active in ("<b>", "\x1b", "\u202e"))
    assert "&lt;b&gt;␛[2J⟨202e⟩\na" in shown
    places = [shown.index(f">{label}</th>") for label in labels]
    assert places == sorted(places)
    assert shown.count("<tr>") == len(labels)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": 3},
        {"text": b"x"},
        {"source": []},
        {"source": "a", "target_prefix": None},
        {"messages": None},
        {"messages": 3},
    ],
)
def test_a_dict_that_is_no_prompt_is_refused(fields):
    with pytest.raises(SchemaError, match="not a prompt"):
        Prompt.from_dict(fields)


@given(st.text(), st.text())
def test_any_prompt_survives_json(text, other):
    for prompt in (
        Prompt(text=text),
        Prompt(source=text, target_prefix=other),
        Prompt(messages=(Message("user", text), Message("assistant", other))),
    ):
        assert Prompt.from_dict(json.loads(json.dumps(prompt.to_dict()))) == prompt
