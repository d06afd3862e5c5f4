"""``nescio explain`` as people and programs see it."""

from __future__ import annotations

import json
import math

import pytest

from nescio.cli import explain
from nescio.errors import NescioError


@pytest.fixture
def run(capsys):
    """Run the command by itself; what it says."""

    def run(*arguments: str) -> str:
        explain.app(args=list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_the_entropy_of_a_coin_is_worked_out(run) -> None:
    said = run("entropy", "--p", ".9", ".1")
    assert "H(p) = -Σ p log₂ p" in said
    assert "-0.9 · log₂ 0.9 = 0.9 · 0.1520 = 0.1368" in said
    assert "-0.1 · log₂ 0.1 = 0.1 · 3.3219 = 0.3322" in said
    assert "H(p) = 0.1368 + 0.3322 = 0.4690 bits" in said
    assert "At most log₂ 2 = 1.0000 bits" in said


@pytest.mark.parametrize(
    "written",
    [
        ["--p", ".5", ".25", ".25"],
        ["--p", ".5,.25,.25"],
        ["--p=.5,.25,.25"],
        ["--p=.5", ".25", ".25"],
        ["--p", "1/2", "1/4,", "1/4"],
        ["--p", ".5 .25 .25"],
        ["--unit", "bits", "--p", ".5", ".25", ".25"],
        ["--p", ".5", ".25", ".25", "--unit", "bits"],
    ],
)
def test_numbers_are_read_however_they_are_written(run, written) -> None:
    assert "= 1.5000 bits" in run("entropy", *written)


def test_the_unit_changes_the_formula_and_the_numbers(run) -> None:
    said = run("entropy", "--p", "1/2", "1/2", "--unit", "nats")
    assert "-0.5 · ln 0.5 = 0.5 · 0.6931 = 0.3466" in said
    assert "= 0.6931 nats" in said
    assert "log₂" not in said


def test_an_impossible_outcome_adds_nothing(run) -> None:
    said = run("entropy", "--p", "1", "0")
    assert "-0 · log₂ 0 = 0" in said
    assert "H(p) = 0 + 0 = 0.0000 bits" in said


def test_the_cross_entropy_of_a_one_hot_is_the_loss(run) -> None:
    said = run("cross-entropy", "--p", "0", "1", "0", "--q", ".25", ".5", ".25")
    assert "H(p, q) = 0 + 1.0000 + 0 = 1.0000 bits" in said
    assert "minus sign" in said
    assert "H(p) + KL(p‖q) = 0.0000 + 1.0000" in said


def test_the_divergence_is_worked_out_both_ways(run) -> None:
    said = run("kl", "--p", ".5", ".5", "--q", ".9", ".1")
    assert "0.5 · log₂(0.5/0.9) = 0.5 · -0.8480 = -0.4240" in said
    assert "KL(p‖q) = -0.4240 + 1.1610 = 0.7370 bits" in said
    assert "KL(q‖p) = 0.5310 bits" in said


def test_an_infinite_divergence_says_why(run) -> None:
    said = run("kl", "--p", ".5", ".5", "--q", "1", "0")
    assert "0.5 · log₂(0.5/0) = ∞: q excludes what p draws" in said
    found = json.loads(run("kl", "--p", ".5", ".5", "--q", "1", "0", "--json"))
    assert found["estimates"]["kl_divergence"]["value"] == "Infinity"


def test_the_perplexity_is_a_geometric_mean(run) -> None:
    said = run("perplexity", "--p", ".8", ".2")
    assert "mean = (0.3219 + 2.3219)/2 = 1.3219 bits" in said
    assert "perplexity = 2^1.3219 = 2.5000" in said
    assert "Not the arithmetic mean of 1/p (3.1250)" in said
    assert "perplexity = ∞" not in said
    assert "= ∞" in run("perplexity", "--p", ".8", "0")


def test_the_likelihood_of_a_die_shows_the_constrained_optimum(run) -> None:
    said = run("likelihood", "--counts", "3", "5", "2", "4", "4", "2")
    assert "λ = Σ n = 20" in said
    assert "y2 = 5/20 = 0.25" in said
    assert "a strict maximum" in said
    bits = sum(n * math.log2(n / 20) for n in (3, 5, 2, 4, 4, 2))
    assert f"= {bits:.4f} bits" in said
    assert f"Equal shares make it {20 * math.log2(1 / 6):.4f} bits" in said
    said = run("likelihood", "--counts", "3", "0", "--p", ".5", ".5")
    assert "The shares given make it -3.0000 bits, 3.0000 below" in said
    assert "never came get 0" in said


def test_many_outcomes_are_summed_up(run) -> None:
    said = run("entropy", "--p", *["1/64"] * 64)
    assert "… and 55 more" in said
    assert "0.0938 + 0.0938 + 0.0938 + … + 0.0938 = 6.0000 bits" in said
    assert len(said.splitlines()) < 25


def test_json_holds_the_estimate_and_the_steps(run) -> None:
    found = json.loads(run("entropy", "--p", ".9", ".1", "--json"))
    estimate = found["estimates"]["entropy"]
    assert estimate["value"] == pytest.approx(0.46899559358928117)
    assert (estimate["unit"], estimate["kind"]) == ("bits", "exact")
    assert estimate["recipe"]["settings"]["p"] == [0.9, 0.1]
    assert found["items"][0]["steps"][-1] == "H(p) = 0.1368 + 0.3322 = 0.4690 bits"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["entropy", "--p", ".5", ".4"], r"p sums to 0\.9, 0\.1 below 1"),
        (["entropy", "--p", "-.5", "1.5"], "a probability is at least 0"),
        (["entropy", "--p", "nan,1"], "give numbers such as"),
        (["entropy", "--p", "1/0"], "give numbers such as"),
        (["entropy", "--p", ""], "give numbers such as"),
        (["entropy", "--p", "1e999"], "give numbers such as"),
        (["kl", "--p", ".5", ".5", "--q", "1"], "p has 2 outcomes and q 1"),
        (["perplexity", "--p", "1.5"], r"in \[0, 1\]"),
        (["likelihood", "--counts", ".5"], "whole number"),
        (["likelihood", "--counts", "0", "0"], "all 0"),
    ],
)
def test_a_mistake_is_refused_in_words(run, written, message) -> None:
    with pytest.raises(NescioError, match=message):
        run(*written)


def test_a_word_among_the_numbers_is_no_argument(run) -> None:
    with pytest.raises(Exception, match="unexpected extra argument"):
        run("entropy", "--p", ".9", ".1", "half")


def test_each_measure_has_a_command() -> None:
    names = {
        command.name or command.callback.__name__
        for command in explain.app.registered_commands
    }
    assert names == {"entropy", "cross-entropy", "kl", "perplexity", "likelihood"}
