"""Beam search: the most probable answers a search of bounded width finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.decoding.answers import Draw, Row, answer_trace
from nescio.decoding.batch import Drawn, read_prompt
from nescio.decoding.generation import Asked
from nescio.decoding.joined import together, tokens_seen
from nescio.decoding.prompting import Opening, opening
from nescio.decoding.rules import Decoding, Endings
from nescio.errors import InvalidInput
from nescio.kernel import log_softmax, row_statistics
from nescio.models.protocol import Model, Stepping, Tokenized, require
from nescio.trace import Sample, Samples
from nescio.trace.trace import Stop

__all__ = ["Beam", "Hypothesis", "Search", "beam_search", "begun", "samples_of"]


@dataclass(frozen=True)
class Beam:
    """How answers are searched for.

    Args:
        width: how many unfinished answers go on after every token, and how many
            finished ones are kept.
        length_power: answers are ranked by logp / tokens^length_power, the end token
            counted: 0 by their probability, 1 by their mean log-probability.

    Raises:
        InvalidInput: a width below 1, a power below 0 or not finite.

    Example:
        >>> Beam(3).length_power
        0.0
    """

    width: int = 4
    length_power: float | int = 0.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InvalidInput(f"width is {self.width}: at least one answer goes on")
        if not 0 <= self.length_power < np.inf:
            raise InvalidInput(
                f"length_power is {self.length_power}: 0 ranks by probability, 1 by "
                "the mean log-probability of a token"
            )

    def score(self, logp: float, tokens: int) -> float:
        """What an answer is ranked by."""
        return logp / tokens**self.length_power if tokens else 0.0


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """An answer on its way, or finished.

    Args:
        context: what the model has read, all of it but the last token.
        logp: of the answer so far, nats.
        rows: its tokens, each a step and a row in it.
        tail: its last bytes, for stop texts.
    """

    context: Any
    logp: float = 0.0
    rows: tuple[Row, ...] = ()
    tail: bytes = b""

    @property
    def last(self) -> int:
        """Its last token."""
        step, row = self.rows[-1]
        return int(step.token_ids[row])


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Tokens that may be put behind unfinished answers, by rank.

    Args:
        owner: the hypothesis each goes on from.
        token: what is put behind it.
        logp: of the answer with it.
    """

    owner: Int[np.ndarray, " n"]
    token: Int[np.ndarray, " n"]
    logp: Float[np.ndarray, " n"]


@dataclass(eq=False)
class Search:
    """One search of bounded width: what goes on, what has finished.

    Of equal scores the one found from the higher ranked answer comes first, then the
    one with the lower token id, and what finished earlier before what finished later.
    """

    model: Any
    beam: Beam
    decoding: Decoding
    endings: Endings
    going: list[Hypothesis]
    finished: list[Hypothesis]
    before: int = 0
    """How many tokens of the prompt contexts do not count."""

    @property
    def done(self) -> bool:
        """Whether no unfinished answer can come among the finished ones any more."""
        if not self.going or len(self.finished) < self.beam.width:
            return not self.going
        best = max(hypothesis.logp for hypothesis in self.going)
        # No token raises logp, and no length divides by more than the longest.
        reachable = self.beam.score(best, self.decoding.max_tokens)
        return reachable <= self._score(self.finished[-1])

    def step(
        self,
        contexts: Sequence[Any],
        logits: Float[np.ndarray, "rows vocab"],
        penalty: Float[np.ndarray, " vocab"] | None = None,
    ) -> Int[np.ndarray, " chosen"]:
        """Put one token behind every unfinished answer, and choose which go on.

        Args:
            contexts, logits: of ``going``, in its order.
            penalty: taken from the score of each token in choosing, not in ranking.

        Returns:
            The tokens that were chosen, end tokens left out.
        """
        found = self._candidates(logits, penalty)
        chosen, stops = self._chosen(found, contexts)
        drawn = _step_of(self, contexts, logits, chosen, stops=stops)
        going: list[Hypothesis] = []
        ended: list[Hypothesis] = []
        for place, stop in enumerate(stops):
            parent = int(chosen.owner[place])
            longer = Hypothesis(
                contexts[parent],
                float(chosen.logp[place]),
                (*self.going[parent].rows, (drawn, place)),
                self._tail(self.going[parent], int(chosen.token[place])),
            )
            (going if stop is None else ended).append(longer)
        self.going = going
        self.finished.extend(ended)
        self.finished.sort(key=self._score, reverse=True)  # stable
        del self.finished[self.beam.width :]
        kept = [hypothesis for hypothesis in ended if hypothesis in self.finished]
        tokens = np.array([one.last for one in (*going, *kept)], dtype=np.int64)
        return tokens[~self.endings.end[tokens]]

    def _score(self, hypothesis: Hypothesis) -> float:
        return self.beam.score(hypothesis.logp, len(hypothesis.rows))

    def _chosen(
        self, found: _Candidates, contexts: Sequence[Any]
    ) -> tuple[_Candidates, tuple[Stop | None, ...]]:
        """The best ``width`` that go on and the best that end, with why they do."""
        owners = found.owner.tolist()
        stops = self.endings.of_tokens(
            found.token,
            [
                self._tail(self.going[owner], token)
                for owner, token in zip(owners, found.token.tolist(), strict=True)
            ],
            np.array([len(self.going[o].rows) + 1 for o in owners], dtype=np.int64),
            np.array([tokens_seen(contexts[o]) for o in owners], dtype=np.int64),
        )
        ends = [place for place, stop in enumerate(stops) if stop is not None]
        goes_on = [place for place, stop in enumerate(stops) if stop is None]
        kept = sorted(ends[: self.beam.width] + goes_on[: self.beam.width])
        where = np.array(kept, dtype=np.int64)
        chosen = _Candidates(found.owner[where], found.token[where], found.logp[where])
        return chosen, tuple(stops[place] for place in kept)

    def _candidates(
        self, logits: Float[np.ndarray, "rows vocab"], penalty: np.ndarray | None
    ) -> _Candidates:
        """The best continuations: enough that ``width`` go on though others end."""
        logp = log_softmax(logits)
        total = logp + np.array([h.logp for h in self.going])[:, None]
        ranked = total if penalty is None else total - penalty
        most = self.beam.width * (2 + len(self.model.vocabulary.end))
        flat = ranked.ravel()
        if most < flat.size:
            # At least the best ones, with all that are equal to the last of them.
            limit = np.partition(flat, flat.size - most)[flat.size - most]
            places = np.flatnonzero(flat >= limit)
        else:
            places = np.arange(flat.size)
        places = places[flat[places] > -np.inf]
        places = places[np.argsort(-flat[places], kind="stable")][:most]
        owner, token = np.divmod(places, logits.shape[1])
        return _Candidates(owner, token, total.ravel()[places])

    def _tail(self, owner: Hypothesis, token: int) -> bytes:
        if not self.endings.stop:
            return b""
        kept = owner.tail[max(0, len(owner.tail) - self.endings.reach) :]
        return kept + self.model.vocabulary.token(token)


def beam_search(
    model: Model,
    prompt: Asked,
    *,
    beam: Beam | None = None,
    decoding: Decoding | None = None,
    chat: bool | None = None,
) -> Samples:
    """The ``width`` best answers that beam search finds, the best first.

    Unfinished answers are ranked by their log-probability after every token, and the
    ``width`` best go on. One that ends, by an end token, a stop text or its length, is
    kept if it is among the ``width`` best that have ended. The search is over when no
    unfinished answer can come among them. With ``width`` at least the number of
    possible beginnings of every length nothing is left out, and the first answer is
    the most probable of all.

    Args:
        model: Tokenized and Stepping.
        prompt: a text, messages, or a Prompt.
        beam: the width, and how length counts.
        decoding: when to stop and what to keep of each prediction; the model's own
            distribution is searched, so ``sampling`` has to be left as it is.
        chat: as `nescio.stream`.

    Returns:
        At most ``width`` answers. ``total_logp`` is the log-probability of the answer,
        its end token counted, and ``log_weight`` the same number: answers that were
        searched for, not drawn, weigh as their probabilities.

    Raises:
        InvalidInput: a way of sampling.
        CapabilityError, ContextOverflow: as `nescio.stream`.

    Example:
        >>> import nescio
        >>> found = beam_search(nescio.load("table:topics"), "a",
        ...                     beam=Beam(2), decoding=nescio.Decoding(3))
        >>> found.answers[0].text
        'bab'
        >>> [round(float(np.exp(s.total_logp)), 4) for s in found.answers]  # two tie
        [0.807, 0.0425]

    Source: Lowerre (1976); length normalisation by a power, Murray & Chiang (2018).
    """
    how, chosen = beam or Beam(), decoding or Decoding()
    asked = begun(model, prompt, chosen, chat)
    search, logits = opened(model, asked, how, chosen)
    contexts: Sequence[Any] = [h.context for h in search.going]
    while True:
        search.step(contexts, logits)
        if search.done:
            break
        contexts, logits = read_on(model, search.going)
    settings = {"kind": "beam", "beam": asdict(how)}
    return samples_of(model, asked, search.finished, chosen, settings=settings)


def begun(
    model: Model, prompt: Asked, decoding: Decoding, chat: bool | None
) -> Opening:
    """The prompt as tokens, where a search is possible.

    Raises:
        InvalidInput: a way of sampling.
    """
    require(model, Tokenized, Stepping, purpose="beam search")
    if decoding.sampling != Decoding().sampling:
        raise InvalidInput(
            f"{decoding.sampling}: beam search draws nothing; leave sampling as it is"
        )
    if decoding.detail.renyi_processed:
        raise InvalidInput("beam search draws nothing: renyi_processed is empty")
    return opening(model, prompt, chat=chat)


def opened(
    model: Any, asked: Opening, beam: Beam, decoding: Decoding
) -> tuple[Search, Float[np.ndarray, "1 vocab"]]:
    """A search that has read its prompt, and the prediction that follows it."""
    read = read_prompt(model, asked.token_ids, asked.context)
    endings = Endings.of(
        decoding,
        vocabulary_size=model.vocabulary.size,
        end=model.vocabulary.end,
        context_length=model.context_length,
    )
    first = Hypothesis(read.context)
    return Search(model, beam, decoding, endings, [first], [], read.before), read.logits


def read_on(
    model: Any, going: Sequence[Hypothesis]
) -> tuple[Sequence[Any], Float[np.ndarray, "rows vocab"]]:
    """Read the last token of every unfinished answer, as one batch."""
    runs = [np.array([hypothesis.last], dtype=np.int32) for hypothesis in going]
    return model.extend([hypothesis.context for hypothesis in going], runs)


def samples_of(
    model: Any,
    asked: Opening,
    found: Sequence[Hypothesis],
    decoding: Decoding,
    *,
    settings: dict[str, Any],
    first: int = 0,
) -> Samples:
    """What was found, as samples with traces; ``settings`` go into their recipe."""
    answers = []
    for number, hypothesis in enumerate(found, start=first):
        trace = answer_trace(
            model, asked, hypothesis.rows, decoding=decoding, draw=Draw(0)
        )
        own = {k: v for k, v in trace.origin.decoding.items() if k not in _OF_DRAWS}
        origin = replace(trace.origin, decoding={**own, **settings}, seed=None)
        answers.append(
            Sample(
                trace.completion,
                model.name,
                draw=number,
                trace=replace(trace, origin=origin),
                log_weight=min(0.0, hypothesis.logp),
                total_logp=min(0.0, hypothesis.logp),
                token_count=len(hypothesis.rows),
            )
        )
    return Samples(asked.prompt, tuple(answers))


_OF_DRAWS = ("sampling", "batch", "draw", "prompt_number")


def _step_of(
    search: Search,
    contexts: Sequence[Any],
    logits: Float[np.ndarray, "rows vocab"],
    chosen: _Candidates,
    *,
    stops: tuple[Stop | None, ...],
) -> Drawn:
    """What was chosen as a step, with everything a trace shows of it."""
    detail = search.decoding.detail
    rows = logits[chosen.owner]
    statistics = row_statistics(rows, chosen.token, top=detail.top, renyi=detail.renyi)
    parents = [contexts[owner] for owner in chosen.owner.tolist()]
    used = [context.length + search.before for context in parents]
    return Drawn(
        tuple(range(len(stops))),
        chosen.token,
        np.full(len(stops), np.nan),
        statistics,
        np.array(used, dtype=np.int64),
        stops,
        together=together(parents, rows, chosen.token),
    )
