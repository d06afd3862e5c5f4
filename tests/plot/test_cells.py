"""Maps of cells: what is drawn is the cells, in few strokes."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nescio.errors import InvalidInput
from nescio.plot.cells import (
    NOTHING,
    RANKS,
    RANKS_BY_NIGHT,
    STEPS,
    level_of_share,
    runs,
    similarity_map,
    similarity_scale,
    step_colours,
    vote_map,
)
from nescio.plot.colours import DARK, PAPER_HEX

GRIDS = arrays(
    np.int64,
    array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.integers(NOTHING, 3),
)


@given(GRIDS)
@settings(deadline=None)
def test_the_runs_of_every_value_give_the_cells_again(cells):
    again = np.full(cells.shape, NOTHING)
    for value, path in runs(cells).items():
        for column, row, long in re.findall(r"M(\d+) (\d*)\.5h(\d+)", path):
            begin, end = int(column), int(column) + int(long)
            assert (again[int(row or 0), begin:end] == NOTHING).all()
            again[int(row or 0), begin:end] = value
    np.testing.assert_array_equal(again, cells)


@given(GRIDS)
@settings(deadline=None)
def test_neighbours_in_a_row_that_are_equal_are_one_run(cells):
    strokes = sum(path.count("M") for path in runs(cells).values())
    changes = (cells[:, 1:] != cells[:, :-1]) & (cells[:, 1:] != NOTHING)
    begins = int(changes.sum() + (cells[:, 0] != NOTHING).sum())
    assert strokes == begins


def test_shades_rise_from_paper_to_the_darkest_step():
    levels = level_of_share(np.array([[0.0, 0.01, 0.5, 0.99, 1.0]]))
    assert levels[0].tolist() == [0, 0, STEPS // 2, STEPS, STEPS]


def test_each_matrix_is_a_group_and_each_set_an_outline_of_its_size():
    svg = similarity_map(
        [np.eye(5), np.ones((5, 5))], sets=[("1", 3), ("2", 2)], label="x"
    )
    assert svg.count('class="cells by0"') == svg.count('class="cells by1"') == 1
    frames = re.findall(r'<rect [^>]*class="set"[^>]*>', svg)
    sides = [float(re.search(r' width="([\d.]+)"', frame)[1]) for frame in frames]
    assert sides == pytest.approx([336.0, 224.0])


def test_matrices_of_other_rows_are_refused():
    with pytest.raises(InvalidInput, match="sets of 3 rows"):
        similarity_map([np.eye(2)], sets=[("1", 3)], label="x")
    with pytest.raises(InvalidInput, match="sets of 3 rows"):
        similarity_map([], sets=[("1", 3)], label="x")


def test_names_of_sets_that_would_overlap_are_left_out():
    svg = similarity_map(
        [np.eye(120)], sets=[(f"s{k}", 1) for k in range(120)], label="x"
    )
    named = re.findall(r"<text[^>]* y=\"([\d.]+)\"", svg)
    assert 20 < len(named) < 60
    assert np.diff([float(y) for y in named]).min() >= 13


def test_wrong_leaders_have_a_mark_beyond_their_row():
    ranks = np.array([[0, 0, 1], [0, 4, NOTHING], [0, 0, 0]])
    svg = vote_map(ranks, wrong=np.array([False, True, True]), label="x")
    marks = re.search(r'<path d="([^"]*)"[^>]*class="wrong"', svg)[1]
    assert re.findall(r" (\d+)\.5h", marks) == ["1", "2"]
    assert 'class="wrong"' not in vote_map(ranks, label="x")


def test_ranks_that_are_none_are_refused():
    with pytest.raises(InvalidInput, match="ranks"):
        vote_map(np.array([[len(RANKS)]]), label="x")
    with pytest.raises(InvalidInput, match="ranks"):
        vote_map(np.zeros((0, 2), np.int64), label="x")


def luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize(
    ("ranks", "paper"), [(RANKS, PAPER_HEX), (RANKS_BY_NIGHT, DARK["paper"])]
)
def test_ranks_are_told_apart_by_lightness_alone(ranks, paper):
    steps = [luminance(colour) + 0.05 for colour in (*ranks[:4], paper)]
    ratios = [max(a, b) / min(a, b) for a, b in pairwise(steps)]
    assert min(ratios) > 1.15
    assert steps == sorted(steps) or steps == sorted(steps, reverse=True)


@pytest.mark.parametrize(
    ("night", "paper"), [(False, PAPER_HEX), (True, DARK["paper"])]
)
def test_shades_leave_the_paper_step_by_step(night, paper):
    colours = step_colours(night=night)
    assert len(colours) == STEPS + 1
    assert colours[0] == paper
    steps = [luminance(colour) for colour in colours]
    assert steps == sorted(steps, reverse=not night)
    assert len(set(colours)) == STEPS + 1


def test_the_key_of_shades_says_what_its_ends_mean():
    assert "nothing alike" in similarity_scale()
    assert "the same" in similarity_scale()
