"""The trace: what one generation or one scored text leaves behind, token by token."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.errors import SchemaError
from nescio.palette import shade
from nescio.trace.symbols import Symbol, symbol_of
from nescio.visible import visible, visible_bytes

__all__ = [
    "ROLES",
    "SCHEMA_VERSION",
    "SEGMENTS",
    "Candidates",
    "Column",
    "Origin",
    "Stop",
    "Trace",
]

SCHEMA_VERSION = 2
SEGMENTS = ("prompt", "completion", "template")
"""What ``Trace.segment`` counts: asked, answered or scored, and put there by rule."""
ROLES = ("none", "system", "user", "assistant", "tool")
"""What ``Trace.role`` counts."""
Stop = Literal["eos", "length", "stop_string", "alarm", "cancelled", "error"]

_ROUNDING = 1e-4  # in nats: what servers lose when they print log-probabilities
_PER_TOKEN = ("token_ids", "segment", "role", "scored", "context_used", "rank")
_MEASURED = ("logp", "logp_processed", "entropy", "entropy_low", "entropy_high")


@dataclass(frozen=True, eq=False)
class Candidates:
    """The most probable tokens at each position, ragged.

    Args:
        offsets: candidates of token i are offsets[i] : offsets[i + 1], [n + 1].
        ids: token ids, or None where an endpoint gives none, [total].
        logp: their log-probabilities in nats, falling within a position, [total].
        buffer, byte_offsets: what they spell, one buffer, [total + 1].
        labels: how control tokens among them are called, by place in [total].

    Raises:
        SchemaError: lengths disagree, offsets fall, or a log-probability is none.
    """

    offsets: Int[np.ndarray, " n_and_end"]
    ids: Int[np.ndarray, " total"] | None
    logp: Float[np.ndarray, " total"]
    buffer: bytes
    byte_offsets: Int[np.ndarray, " total_and_end"]
    labels: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        total = len(self.logp)
        _check_edges("candidate offsets", self.offsets, end=total)
        _check_edges("candidate bytes", self.byte_offsets, end=len(self.buffer))
        if len(self.byte_offsets) != total + 1:
            raise SchemaError(
                f"{len(self.byte_offsets)} byte offsets for {total} candidates; one "
                "more is needed"
            )
        if self.ids is not None and len(self.ids) != total:
            raise SchemaError(f"{len(self.ids)} ids for {total} candidates")
        wrong = np.flatnonzero(~(self.logp <= _ROUNDING))
        if len(wrong):
            raise SchemaError(
                f"candidate {wrong[0]} has log-probability {self.logp[wrong[0]]}"
            )
        _freeze(self, ("offsets", "ids", "logp", "byte_offsets"))

    def at(self, token: int) -> list[tuple[str, float]]:
        """The candidates of one token: (how it is shown, log-probability)."""
        start, end = int(self.offsets[token]), int(self.offsets[token + 1])
        return [(self._shown(j), float(self.logp[j])) for j in range(start, end)]

    def _shown(self, place: int) -> str:
        if place in self.labels:
            return visible(self.labels[place])
        first, last = self.byte_offsets[place : place + 2]
        return visible_bytes(self.buffer[first:last])


@dataclass(frozen=True, eq=False)
class Column:
    """A further number per token, with its unit; NaN where it is absent."""

    values: Float[np.ndarray, " n"]
    unit: str

    def __post_init__(self) -> None:
        _freeze(self, ("values",))


@dataclass(frozen=True)
class Origin:
    """Where a trace comes from: all that has to be equal to get it again.

    Args:
        model: the specification the model was loaded from.
        model_digest, tokenizer_digest, template_digest: content hashes; the last is
            None where no chat template was used.
        engine: the backend, with its version.
        precision: the arithmetic, e.g. ``"f32"``.
        conditioned_on: what came before the first token, e.g. ``"<|endoftext|>"``,
            or None where the first token is unscored.
        decoding: how tokens were chosen or windows laid; JSON values.
        seed: of the draw, or None.
    """

    model: str
    model_digest: str
    tokenizer_digest: str
    engine: str
    precision: str
    template_digest: str | None = None
    conditioned_on: str | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        plain = json.loads(json.dumps(dict(self.decoding), allow_nan=False))
        object.__setattr__(self, "decoding", plain)
        if self.seed is not None:
            object.__setattr__(self, "seed", int(self.seed))

    @property
    def symbol(self) -> Symbol:
        """What one token of the trace is."""
        return symbol_of(self.tokenizer_digest)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**self.__dict__, "decoding": dict(self.decoding)}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Origin:
        """The origin that `to_dict` wrote."""
        return Origin(**fields)


@dataclass(frozen=True, eq=False)
class Trace:
    """One text, token by token, with what the model thought of each. Frozen.

    A token may be half a UTF-8 character, so a trace holds bytes. Numbers are NaN
    at tokens that are not ``scored`` and only there (rank is 0 there): a sum over
    unscored tokens is then loud, not silently small.

    Args:
        buffer: the text in UTF-8. Control tokens spell nothing.
        offsets: token i is buffer[offsets[i] : offsets[i + 1]], [n + 1].
        token_ids: or None where an endpoint gives none, [n].
        segment: index into `SEGMENTS`, [n].
        role: index into `ROLES` (of chat messages), [n].
        scored: whether the numbers below exist, [n].
        context_used: how many tokens the prediction could see, [n].
        logp: log-probability of the token under the model, nats, [n].
        logp_processed: the same under the distribution it was sampled from.
        entropy: of the model's prediction, nats; or else ``entropy_low`` and
            ``entropy_high`` (+inf: unbounded).
        varentropy: variance of the surprisal under the prediction, nats^2.
        rank: 1 + how many tokens were strictly more probable.
        candidates: the most probable tokens, or None.
        renyi: log sum p^(1 - order) for each of ``renyi_orders``, [n, orders].
        columns: further numbers per token.
        labels: how control tokens are called, by position.
        stop: why a generation ended; None for a scored text.

    Raises:
        SchemaError: lengths disagree, offsets fall, a number where none may be.

    Example:
        >>> import nescio
        >>> model = nescio.load("table:coin")
        >>> trace = nescio.score(model, "HTHH")
        >>> trace.token_bytes(1), round(float(trace.surprisal[1]), 4)
        (b'T', 0.6931)
    """

    buffer: bytes
    offsets: Int[np.ndarray, " n_and_end"]
    token_ids: Int[np.ndarray, " n"] | None
    segment: Int[np.ndarray, " n"]
    scored: Bool[np.ndarray, " n"]
    context_used: Int[np.ndarray, " n"]
    logp: Float[np.ndarray, " n"]
    origin: Origin
    role: Int[np.ndarray, " n"] | None = None
    logp_processed: Float[np.ndarray, " n"] | None = None
    entropy: Float[np.ndarray, " n"] | None = None
    entropy_low: Float[np.ndarray, " n"] | None = None
    entropy_high: Float[np.ndarray, " n"] | None = None
    varentropy: Float[np.ndarray, " n"] | None = None
    rank: Int[np.ndarray, " n"] | None = None
    candidates: Candidates | None = None
    renyi: Float[np.ndarray, "n orders"] | None = None
    renyi_orders: tuple[float, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    stop: Stop | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _check_lengths(self)
        _check_offsets(self)
        _check_fields(self)
        _check_numbers(self)
        _check_counts(self)
        _freeze(self, (*_PER_TOKEN, *_MEASURED, "offsets", "varentropy", "renyi"))

    def __len__(self) -> int:
        return len(self.scored)

    @property
    def text(self) -> str:
        """The text; bytes that are not UTF-8 (a cut character) become U+FFFD."""
        return self.buffer.decode("utf-8", errors="replace")

    @property
    def completion(self) -> str:
        """The text that was answered or scored: all but prompt and template."""
        mine = np.flatnonzero(self.segment == SEGMENTS.index("completion"))
        return b"".join(map(self.token_bytes, mine)).decode("utf-8", errors="replace")

    @property
    def surprisal(self) -> Float[np.ndarray, " n"]:
        """-log q(token), nats, [n]; NaN where unscored, +inf where impossible."""
        return np.float32(0.0) - self.logp

    @property
    def byte_counts(self) -> Int[np.ndarray, " n"]:
        """How many bytes each token spells, [n]."""
        return np.diff(self.offsets)

    def token_bytes(self, token: int | np.integer) -> bytes:
        """The bytes one token spells."""
        return self.buffer[self.offsets[token] : self.offsets[token + 1]]

    def token_text(self, token: int | np.integer) -> str:
        """How one token is shown: controls and cut characters made visible."""
        label = self.labels.get(int(token))
        return visible(label) if label else visible_bytes(self.token_bytes(token))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return all(
            _same(value, getattr(other, name)) for name, value in vars(self).items()
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return (
            f"Trace({len(self)} tokens, {len(self.buffer)} bytes, "
            f"{int(self.scored.sum())} scored, model={self.origin.model!r})"
        )

    def _repr_html_(self) -> str:
        shaded = (
            f"<span style='{shade(value).css}'>{html.escape(self.token_text(i))}</span>"
            for i, value in enumerate(self.surprisal)
        )
        return (
            f"<p>{html.escape(repr(self))}</p><p style='font-family:serif;"
            f"white-space:pre-wrap'>{''.join(shaded)}</p>"
        )


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, Candidates | Column) and type(one) is type(other):
        return all(_same(v, getattr(other, k)) for k, v in vars(one).items())
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    return one == other


def _freeze(owner: object, names: Sequence[str]) -> None:
    """Replace arrays by copies that cannot be written to; floats are float32."""
    for name in names:
        array = getattr(owner, name)
        if array is not None:
            single = array.dtype.kind == "f"
            frozen = np.array(array, dtype=np.float32 if single else array.dtype)
            frozen.setflags(write=False)
            object.__setattr__(owner, name, frozen)


def _check_edges(name: str, offsets: np.ndarray, *, end: int) -> None:
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != end:
        raise SchemaError(f"{name} have to run from 0 to {end}; got {offsets.tolist()}")
    if len(offsets) > 1 and np.diff(offsets).min() < 0:
        raise SchemaError(f"{name} fall: {offsets.tolist()}")


def _check_lengths(trace: Trace) -> None:
    n = len(trace.scored)
    for name in (*_PER_TOKEN, *_MEASURED, "varentropy", "renyi"):
        array = getattr(trace, name)
        if array is not None and len(array) != n:
            raise SchemaError(f"{name} has {len(array)} rows for {n} tokens")
    for name, column in trace.columns.items():
        if len(column.values) != n:
            raise SchemaError(
                f"column {name!r} has {len(column.values)} rows for {n} tokens"
            )
    if trace.candidates is not None and len(trace.candidates.offsets) != n + 1:
        raise SchemaError(f"candidates do not have the {n} positions of the tokens")
    width = 0 if trace.renyi is None else trace.renyi.shape[1]
    if width != len(trace.renyi_orders):
        raise SchemaError(f"{width} Rényi columns for {len(trace.renyi_orders)} orders")


def _check_offsets(trace: Trace) -> None:
    offsets, n = trace.offsets, len(trace.scored)
    if len(offsets) != n + 1 or offsets[0] != 0 or offsets[-1] != len(trace.buffer):
        raise SchemaError(
            f"offsets have to run from 0 to {len(trace.buffer)} bytes over {n} tokens; "
            f"got {len(offsets)} of them"
        )
    if n and np.diff(offsets).min() < 0:
        raise SchemaError("offsets fall; each token begins where the last one ended")


def _check_fields(trace: Trace) -> None:
    if trace.stop is not None and trace.stop not in get_args(Stop):
        raise SchemaError(f"unknown stop {trace.stop!r}: one of {get_args(Stop)}")
    if trace.entropy is not None and trace.entropy_low is not None:
        raise SchemaError("a trace has entropies or their bounds, not both")
    if (trace.entropy_low is None) != (trace.entropy_high is None):
        raise SchemaError("entropy bounds come in pairs")
    misplaced = [place for place in trace.labels if not 0 <= place < len(trace)]
    if misplaced:
        raise SchemaError(f"label at {misplaced[0]} of {len(trace)} tokens")


def _check_numbers(trace: Trace) -> None:
    for name in (*_MEASURED, "varentropy"):
        array = getattr(trace, name)
        if array is None:
            continue
        absent = np.isnan(array)
        if name != "logp_processed" and not np.array_equal(absent, ~trace.scored):
            raise SchemaError(f"{name} has to be NaN exactly where a token is unscored")
        sign = -1.0 if name.startswith("logp") else 1.0
        wrong = sign * array < -_ROUNDING
        if not name.startswith("logp") and name != "entropy_high":
            wrong |= np.isposinf(array)
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise SchemaError(f"{name}[{place}] is {array[place]}: it cannot be")
    if trace.entropy_low is not None and trace.entropy_high is not None:
        crossed = np.flatnonzero(trace.entropy_low > trace.entropy_high + _ROUNDING)
        if len(crossed):
            raise SchemaError(
                f"entropy_low[{crossed[0]}] is above entropy_high: "
                f"{trace.entropy_low[crossed[0]]} and {trace.entropy_high[crossed[0]]}"
            )


def _check_counts(trace: Trace) -> None:
    if (trace.context_used < 0).any():
        raise SchemaError("context_used is below 0")
    if trace.rank is not None and not np.array_equal(trace.rank > 0, trace.scored):
        raise SchemaError(
            "rank has to be 1 or more where a token is scored and 0 where it is not"
        )
    for name, names in (("segment", SEGMENTS), ("role", ROLES)):
        codes = getattr(trace, name)
        if codes is None:
            continue
        wrong = (codes < 0) | (codes >= len(names))
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise SchemaError(
                f"{name}[{place}] is {codes[place]}; it counts from 0 to "
                f"{len(names) - 1}"
            )
