"""The watch over a plain ``model.generate(...)`` of Hugging Face transformers.

A logits processor that measures every prediction with the compiled kernel, a stopping
criterion that ends an answer when its alarm goes off, and a streamer that hands on each
token as it comes. What is kept does not grow with the answer: one row of logits and a
few numbers. Neither torch nor transformers is imported here; their objects are only
called. ::

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    import nescio

    name, how = "model-directory", nescio.Sampling(temperature=0.8)
    network = AutoModelForCausalLM.from_pretrained(name)
    tokenizer = AutoTokenizer.from_pretrained(name)
    alarm = nescio.read_alarm("alarm.json")          # nescio drift fit ...

    watch = nescio.GenerationWatch(
        alarm,
        sampling=how,
        vocabulary=nescio.vocabulary_of(tokenizer, network.config.vocab_size),
        on_token=lambda token: print(token.text, end="", flush=True),
    )
    network.generate(
        **tokenizer("Once upon a time", return_tensors="pt"),
        do_sample=True, temperature=0.8, top_k=0, max_new_tokens=256,
        logits_processor=[watch.processor],
        stopping_criteria=[watch.stopping],
        streamer=watch.streamer,
    )
    print(watch.alerts[0] or watch.claims[0])
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.decoding.watching import Alert, TokenStatistics, Watch
from nescio.drift.alarm_files import Alarm
from nescio.drift.conformal_alarm import ConformalAlarm
from nescio.errors import InvalidInput
from nescio.kernel import RowStatistics, Sampling, process, row_statistics
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["GeneratedToken", "GenerationWatch", "vocabulary_of"]


@dataclass(frozen=True)
class GeneratedToken:
    """One token that ``generate`` has just chosen.

    Args:
        row: the answer of the batch it belongs to.
        index: its place in the answer, from 0.
        token_id: what was chosen.
        text: the characters that are whole with it; empty without a vocabulary.
        logp: its log-probability under the model, nats.
        entropy: of the model's prediction, nats.
        entropy_rate: mean entropy of the answer so far, nats a token.
        alert: why the alarm went off with this token, which is then the last.
    """

    row: int
    index: int
    token_id: int
    text: str
    logp: float
    entropy: float
    entropy_rate: float
    alert: Alert | None


@dataclass(eq=False)
class _Answer:
    """One row of the batch so far."""

    watch: Watch | None
    decoder: Any = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    tokens: int = 0
    entropy: float = 0.0
    alert: Alert | None = None
    ended: bool = False


class GenerationWatch:
    """Processor, stopping criterion and streamer for one ``generate`` at a time.

    Give `generate` all three, or the processor with one of the others: only they see
    the last token. Beam search, which exchanges rows, can not be watched. A row of the
    batch is left alone once it has ended.

    Args:
        alarm: ends an answer when it goes off; None only measures.
        origin: of the model, such as ``nescio.load(...).origin``, for the alarm to
            check; None leaves it to the caller that the model is the alarm's.
        sampling: temperature and truncations that ``generate`` is given; they are not
            seen here (its own default is ``top_k=50``).
        vocabulary: what ids spell, see `vocabulary_of`; ids that end an answer are its
            ``end``.
        on_token: called with each `GeneratedToken`.

    Raises:
        InvalidInput: the alarm was fitted on another model or other settings.
    """

    def __init__(
        self,
        alarm: Alarm | None = None,
        *,
        origin: Origin | None = None,
        sampling: Sampling | None = None,
        vocabulary: Vocabulary | None = None,
        on_token: Callable[[GeneratedToken], object] | None = None,
    ) -> None:
        self._alarm, self._sampling = alarm, sampling or Sampling()
        self._origin = _origin_of(origin, alarm, self._sampling)
        self._vocabulary, self._on_token = vocabulary, on_token
        self._end = frozenset(vocabulary.end) if vocabulary is not None else frozenset()
        self._answers: list[_Answer] = []
        self._rows: Float[np.ndarray, "batch vocab"] | None = None
        self._length = -1
        self.processor = _Processor(self)
        self.stopping = _Stopping(self)
        self.streamer = _Streamer(self)
        self._started()  # refuse now what would be refused later

    @property
    def alerts(self) -> tuple[Alert | None, ...]:
        """What set the alarm off in each row, or None."""
        return tuple(answer.alert for answer in self._answers)

    @property
    def tokens(self) -> tuple[int, ...]:
        """How many tokens each answer has."""
        return tuple(answer.tokens for answer in self._answers)

    @property
    def entropy_rates(self) -> tuple[float | None, ...]:
        """Mean entropy of each answer, nats a token; None before its first one."""
        return tuple(
            answer.entropy / answer.tokens if answer.tokens else None
            for answer in self._answers
        )

    @property
    def claims(self) -> tuple[str, ...]:
        """What the alarm says of each answer; empty without one."""
        return tuple(
            str(getattr(answer.watch, "claim", "")) for answer in self._answers
        )

    def _started(self) -> Watch | None:
        return None if self._alarm is None else self._alarm.start(self._origin)

    def _predicted(self, ids: Any, scores: Any) -> None:
        """Before a token is chosen: keep the row it is chosen from."""
        batch, length = ids.shape
        if length != self._length or len(self._answers) != batch:
            self._answers = [_Answer(self._started()) for _ in range(batch)]
        elif self._rows is not None:  # neither of the others is in use
            self._chosen(ids[:, -1])
        self._length = length + 1
        self._rows = np.array(scores.detach().float().cpu().numpy())

    def _chosen(self, tokens: Any) -> None:
        """After a token is chosen: measure it, once."""
        if self._rows is None:
            return
        rows, self._rows = self._rows, None
        ids = tokens.cpu().numpy().astype(np.int64)
        if len(ids) != len(rows):
            raise InvalidInput(
                f"{len(ids)} tokens for {len(rows)} predictions: beam search can not "
                "be watched; set num_beams=1"
            )
        going = [r for r, answer in enumerate(self._answers) if not answer.ended]
        where = np.array(going, dtype=np.int64)
        if not len(where):
            return
        found, drawn_from = self._measured(rows[where], ids[where])
        for place, row in enumerate(going):
            own: tuple[float | None, tuple[float, ...]] = (None, ())
            if drawn_from is not None and drawn_from.log_renyi is not None:
                sums = tuple(drawn_from.log_renyi[place].tolist())
                own = (_at(drawn_from, place)[0], sums)
            self._take(row, int(ids[row]), _at(found, place), own)

    def _measured(
        self, rows: Float[np.ndarray, "batch vocab"], ids: Int[np.ndarray, " batch"]
    ) -> tuple[RowStatistics, RowStatistics | None]:
        """Tokens under the model, and under what they were drawn from if that matters.

        One pass does for both where they are drawn from the model itself.
        """
        orders = () if self._alarm is None else self._alarm.renyi_orders
        plain = self._sampling == Sampling()
        found = row_statistics(rows, ids, renyi=orders if plain else ())
        if not orders or plain:
            return found, found if orders else None
        drawn_from = process(rows, self._sampling)
        return found, row_statistics(drawn_from, ids, renyi=orders)

    def _take(
        self,
        row: int,
        token: int,
        measured: tuple[float, float],
        drawn: tuple[float | None, tuple[float, ...]],
    ) -> None:
        answer, (logp, entropy) = self._answers[row], measured
        answer.tokens += 1
        answer.entropy += entropy
        if answer.watch is not None:
            seen = TokenStatistics(token, logp, entropy, drawn[0], drawn[1])
            answer.alert = answer.watch.update(seen)
        answer.ended = token in self._end or answer.alert is not None
        if self._on_token is None:
            return
        spelled = b"" if self._vocabulary is None else self._vocabulary.token(token)
        self._on_token(
            GeneratedToken(
                row,
                answer.tokens - 1,
                token,
                answer.decoder.decode(spelled, final=answer.ended),
                logp,
                entropy,
                answer.entropy / answer.tokens,
                answer.alert,
            )
        )


class _Processor:
    """A logits processor that changes nothing."""

    def __init__(self, watch: GenerationWatch) -> None:
        self._watch = watch

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._watch._predicted(input_ids, scores)
        return scores


class _Stopping:
    """A stopping criterion: rows whose alarm has gone off."""

    def __init__(self, watch: GenerationWatch) -> None:
        self._watch = watch

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        del scores
        self._watch._chosen(input_ids[:, -1])
        return input_ids.new_tensor([a is not None for a in self._watch.alerts]).bool()


class _Streamer:
    """A streamer: it is given the prompts first, then one token of each row."""

    def __init__(self, watch: GenerationWatch) -> None:
        self._watch = watch

    def put(self, value: Any) -> None:
        """Take what was chosen; prompts begin new answers."""
        if value.ndim == 1:
            self._watch._chosen(value)
        else:
            self._watch._length = -1

    def end(self) -> None:
        """The next tokens are of other answers."""
        self._watch._length = -1


def vocabulary_of(tokenizer: Any, size: int) -> Vocabulary:
    """What the ids of a fast tokenizer of transformers spell.

    Args:
        tokenizer: a ``PreTrainedTokenizerFast``.
        size: how many ids the model predicts, ``config.vocab_size``.

    Raises:
        CapabilityError: a tokenizer whose ids have no bytes of their own.
    """
    from nescio.models.tokenizer import tokenizer_of

    return tokenizer_of(tokenizer, size).vocabulary


def _at(found: RowStatistics, place: int) -> tuple[float, float]:
    if found.logp is None:
        raise AssertionError("row statistics of chosen tokens have targets")
    return float(found.logp[place]), float(found.entropy[place])


def _origin_of(
    origin: Origin | None, alarm: Alarm | None, sampling: Sampling
) -> Origin | None:
    """The answer's origin: how the prompt was made is not seen, and is not compared."""
    if origin is None or not isinstance(alarm, ConformalAlarm):
        return origin
    fitted = alarm.settings
    decoding = {
        "kind": "generate",
        "sampling": asdict(sampling),
        "stop": fitted["stop"],
        "chat": fitted["chat"],
    }
    return replace(origin, template_digest=fitted["template_digest"], decoding=decoding)
