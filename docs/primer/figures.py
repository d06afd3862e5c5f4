"""Draws the primer's figures: python docs/primer/figures.py

Each is one chart of nescio's own on a sheet of paper, so that it can be read on a
light and on a dark page. The same numbers give the same bytes.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

import nescio
from nescio.plot import Band, Marker, Series, line_chart
from nescio.plot.colours import LINES, MUTED, PAPER_HEX
from nescio.plot.svg import document, element, escape

WIDTH, HEIGHT, MARGIN = 640, 320, 16
BIT = math.log(2.0)


def two(first: np.ndarray) -> np.ndarray:
    """Distributions over two outcomes from the probability of the first."""
    return np.stack([first, 1.0 - first], axis=-1)


def sheet(title: str, description: str, chart: str) -> str:
    """A chart on paper, with what it shows in words."""
    width, height = WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN
    paper = element("rect", width=width, height=height, rx=8, fill=PAPER_HEX)
    placed = element("g", chart, transform=f"translate({MARGIN} {MARGIN})")
    described = element("desc", escape(description))
    drawn = document(
        described + paper + placed, width=width, height=height, label=title
    )
    return f"{drawn}\n"


def chart(
    *series: Series,
    x: str,
    y: str,
    band: Band | None = None,
    markers: tuple[Marker, ...] = (),
) -> str:
    return line_chart(
        series,
        x_label=x,
        y_label=y,
        width=WIDTH,
        height=HEIGHT,
        band=band,
        markers=markers,
    )


def surprisal() -> str:
    p = np.linspace(0.01, 1.0, 100)
    return sheet(
        "Surprisal by probability",
        "A falling curve: 0 bits at probability 1, 1 bit at one half, 2 at a quarter, "
        "and without end towards 0.",
        chart(
            Series("surprisal, -log₂ p", nescio.surprisal(p=p) / BIT, p),
            x="probability of what came",
            y="bits",
            markers=(Marker(0.5, "1 bit"),),
        ),
    )


def entropy() -> str:
    p = np.linspace(0.0, 1.0, 101)
    return sheet(
        "Entropy of a coin",
        "An arch over the probability of heads: 0 bits at 0 and at 1, 1 bit at one "
        "half, 0.469 bits at 0.9.",
        chart(
            Series("entropy", nescio.entropy(p=two(p)) / BIT, p),
            x="probability of heads",
            y="bits",
            markers=(Marker(0.9, "0.469 bits"),),
        ),
    )


def cross_entropy() -> str:
    q = np.linspace(0.01, 0.99, 99)
    coin = [0.9, 0.1]
    crossed = nescio.cross_entropy(p=coin, q=two(q)) / BIT
    least = np.full(len(q), float(nescio.entropy(p=coin) / BIT))
    return sheet(
        "Cross-entropy of a guess about a coin",
        "A coin falls heads with probability 0.9. Its cross-entropy with a guess is "
        "least, 0.469 bits, where the guess is 0.9; what lies above is the divergence.",
        chart(
            Series("cross-entropy H(p, q)", crossed, q),
            Series("entropy H(p)", least, q),
            x="guessed probability of heads, q",
            y="bits",
            band=Band("KL(p‖q)", least, crossed, q),
            markers=(Marker(0.9, "q is p"),),
        ),
    )


def kl() -> str:
    nearly = 1.0 - 10.0 ** -np.arange(3.0, 9.0)
    q = np.unique(np.concatenate([np.linspace(0.0, 1.0, 101), nearly]))
    coin, guess = [0.9, 0.1], two(q)
    return sheet(
        "The two directions of a divergence",
        "For p = 0.9 both directions are 0 where q is 0.9 and differ elsewhere: 0.531 "
        "and 0.737 bits at one half. At q = 0 and q = 1 KL(p‖q) is infinite.",
        chart(
            Series("KL(p‖q)", nescio.kl_divergence(p=coin, q=guess) / BIT, q),
            Series("KL(q‖p)", nescio.kl_divergence(p=guess, q=coin) / BIT, q),
            x="probability of heads in q; in p it is 0.9; triangles: infinite",
            y="bits",
            markers=(Marker(0.9, "q is p"),),
        ),
    )


def likelihood() -> str:
    counts = np.array([3, 5, 2, 4, 4, 2])
    share = np.linspace(0.04, 0.6, 113)
    others = np.delete(counts, 1) / 15
    dice = np.insert((1.0 - share)[:, None] * others, 1, share, axis=1)
    best = nescio.die_maximum_likelihood(counts).log_likelihood
    below = nescio.log_likelihood(counts, p=dice) - best
    return sheet(
        "Log-likelihood of a die",
        "Twenty throws, five of them twos. The log-likelihood is highest where the die "
        "gives a two the share 5/20, and falls on both sides.",
        chart(
            Series("log L, less that of the best die", below, share),
            x="probability of a two; the others keep their proportions",
            y="nats",
            markers=(Marker(0.25, "5/20"),),
        ),
    )


def perplexity() -> str:
    q = np.linspace(0.05, 1.0, 96)
    both = np.stack([np.full(len(q), 0.8), q], axis=-1)
    return sheet(
        "Perplexity and what it is mistaken for",
        "Two tokens, the first of probability 0.8. By the probability of the second: "
        "the perplexity, and above it the arithmetic mean of the inverse "
        "probabilities: 2.5 against 3.125 at 0.2. They agree at 0.8 only.",
        chart(
            Series("perplexity", nescio.sequence_perplexity(p=both), q),
            Series("arithmetic mean of 1/p: not it", (1.0 / both).mean(axis=-1), q),
            x="probability of the second token; that of the first is 0.8",
            y="equally likely tokens",
            markers=(Marker(0.2, "2.5, not 3.125"),),
        ),
    )


def language_models() -> str:
    p = 1.0 / np.arange(1, 13) ** 2
    p /= p.sum()
    k = np.arange(1, 13)
    ends = [nescio.entropy_bounds(np.log(p[:n]), vocabulary_size=12) for n in k]
    low, high = (np.array([float(end[i]) for end in ends]) / BIT for i in (0, 1))
    whole = np.full(len(k), float(nescio.entropy(p=p) / BIT))
    return sheet(
        "What the most probable tokens tell of an entropy",
        "A band between the least and the largest entropy that fit the k most probable "
        "of 12 tokens. It narrows as k grows, and always holds the entropy.",
        chart(
            Series("entropy of all 12", whole, k),
            x="how many of the most probable tokens are known, k",
            y="bits",
            band=Band("what the top k allow", low, high, k),
        ),
    )


def calibration() -> str:
    said = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
    right = np.array([np.nan, 0.6, np.nan, 0.6, np.nan, 0.7, np.nan])
    edge = np.array([0.5, 1.0])
    return sheet(
        "A reliability diagram",
        "How often answers were right, by how sure the model said it was: 0.6 of those "
        "at 0.6, which is on the diagonal; 0.6 at 0.8 and 0.7 at 0.95, below it.",
        chart(
            Series("calibrated: as often right as said", edge, edge, colour=MUTED),
            Series("found", right, said, colour=LINES[1], width=9),
            x="confidence",
            y="share of right answers",
        ),
    )


FIGURES: Mapping[str, Callable[[], str]] = {
    "surprisal": surprisal,
    "entropy": entropy,
    "cross-entropy": cross_entropy,
    "kl": kl,
    "likelihood": likelihood,
    "perplexity": perplexity,
    "language-models": language_models,
    "calibration": calibration,
}
"""Each figure's name, and what draws it."""


def main() -> None:
    folder = Path(__file__).resolve().parent
    for name, draw in FIGURES.items():
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
