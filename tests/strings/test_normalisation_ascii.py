"""ASCII has a shorter way through normalisation, which has to come out the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nescio.strings import Normalisation, normalised
from nescio.strings.normalisation import _without_articles, _written

ASCII = st.text(st.characters(max_codepoint=127), max_size=60)
MARKED = st.text(
    st.sampled_from("aB_1 0.'-#,()[]`\\/%&@\t\n\x1c\x00\x7f:"), max_size=12
)


def long_way(text: str, how: Normalisation) -> str:
    found = _written(text, how)
    return _without_articles(found) if how.articles else found


@given(ASCII | MARKED, st.builds(Normalisation))
@example("1'2 'a' don't 3'", Normalisation())
@example("U.S. 3.5 .5 a.5 _.5 5.", Normalisation())
@example("1,234 a,1 1,a (1) 1/2 [3] 10:30", Normalisation())
@example("C# #1 _# 1#", Normalisation())
@example("-5 -.5 a-5 _-5 3-4 twenty-one - -- -a", Normalisation())
@example("?!", Normalisation())
@example("\x1c\x1d a \x0b\x85", Normalisation())
def test_the_shorter_way_gives_what_the_long_one_gives(text, how):
    assert normalised(text, how) == long_way(text, how)


@pytest.mark.parametrize(
    "how", [Normalisation(case=False), Normalisation(articles=True)]
)
@given(text=MARKED)
def test_it_does_so_under_every_setting(how, text):
    assert normalised(text, how) == long_way(text, how)
