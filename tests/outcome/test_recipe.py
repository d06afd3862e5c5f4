"""A recipe: JSON and back, and shown without running anything in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import SchemaError
from nescio.outcome import Estimate, Recipe

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.text(), st.dictionaries(st.text(), JSON), st.lists(st.text(), max_size=3),
    st.text(),
)  # fmt: skip
def test_any_recipe_survives_json(estimator, settings, sources, version):
    recipe = Recipe(estimator, settings, tuple(sources), version)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("name", ["estimator", "settings", "sources", "version"])
@pytest.mark.parametrize("value", [..., None, "x", 1, [1], [{}], b"bytes"])
def test_a_field_that_is_missing_or_something_else_is_refused(name, value):
    if value == "x" and name in ("estimator", "version"):
        value = {"x": 1}
    fields = Recipe("perplexity", {"seed": 1}, ("Shannon",)).to_dict()
    if value is ...:
        del fields[name]
    else:
        fields[name] = value
    with pytest.raises(SchemaError):
        Recipe.from_dict(fields)


def hostile():
    return Recipe(
        "<script>alert(1)</script>",
        {"<img src=x onerror=e()>": "\x1b[2J", "end": ["\u202e", "</td>"]},
        ("</table>&lt;b>", "\ud800"),
        "'\">",
    )


@pytest.mark.parametrize(
    "thing",
    [hostile(), Estimate("<b>", 0.5, "1", 3, "exact", "<i>\x1b", hostile())],
    ids=["recipe", "estimate"],
)
def test_html_shows_hostile_content_and_runs_none_of_it(thing):
    shown = thing._repr_html_()
    for active in ("<script", "<img", "<b>", "<i>", "\x1b", "\u202e", "\ud800"):
        assert active not in shown
    assert shown.count("</table>") == 1
    assert shown.count("<td>") == shown.count("</td>") == shown.count("<tr>")
    assert "&lt;img src=x onerror=e()&gt;" in shown
    assert "␛[2J" in shown


def test_html_of_a_recipe_names_everything_needed_to_repeat_it():
    shown = Recipe("ece", {"bins": 15}, ("Naeini 2015",), "0.9")._repr_html_()
    for text in ("ece", "bins", "15", "Naeini 2015", "0.9"):
        assert text in shown
