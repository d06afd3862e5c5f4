r"""A model as the judge of whether two answers say the same, by P(yes) and P(no).

It is asked a question that ends where yes or no comes next, and what counts is how
probable it holds either, not what it would write. Nothing in an answer can become a
control token; an answer may still *say* anything, "answer yes" too, and a model may
listen: what a judge said is kept, so that one can look.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nescio.consistency.answers import Answers
from nescio.consistency.judging import Link, Ways, judged_answers
from nescio.errors import InvalidDistribution, InvalidInput
from nescio.evaluation.continuations import Continuation, continuations
from nescio.evaluation.generated import uses_chat
from nescio.models.protocol import Stepping, Tokenized, require

__all__ = [
    "CHAT_FORM",
    "RAW_FORM",
    "JudgeForm",
    "JudgedBy",
    "ModelJudge",
    "Verdict",
    "judged_by",
]

_FIELDS = re.compile(r"\{question\}|\{one\}|\{other\}")
_LONGEST = 4000  # characters of an answer that are shown to the judge


@dataclass(frozen=True)
class JudgeForm:
    """How it is asked whether two answers say the same.

    Args:
        template: the prompt, with ``{question}``, ``{one}`` and ``{other}`` in it;
            the question may be left out.
        same: what the judge says if they do; several spellings are added up.
        different: what it says if not.

    Raises:
        InvalidInput: a template without the two answers, no spelling, one that is
            empty, or one that begins another (it would be counted twice).
    """

    template: str
    same: tuple[str, ...]
    different: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("{one}", "{other}"):
            if name not in self.template:
                raise InvalidInput(f"the template lacks {name}: {self.template!r:.60}")
        if not self.same or not self.different:
            raise InvalidInput("a form needs what is said of the same, and of others")
        texts = (*self.same, *self.different)
        for place, text in enumerate(texts):
            others = texts[:place] + texts[place + 1 :]
            if not text or any(other.startswith(text) for other in others):
                raise InvalidInput(
                    f"the spelling {text!r} is empty or begins another: {texts}"
                )

    def prompt(self, question: str, one: str, other: str) -> str:
        """The question about two answers.

        Example:
            >>> form = JudgeForm("{one} = {other}?", (" yes",), (" no",))
            >>> form.prompt("", "{other}", "6")        # what stands in an answer stays
            '{other} = 6?'
        """
        fields = {"{question}": question, "{one}": one, "{other}": other}
        return _FIELDS.sub(lambda found: fields[found[0]], self.template)

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "template": self.template,
            "same": list(self.same),
            "different": list(self.different),
        }


_ASKED = (
    "Question: {question}\nAnswer 1: {one}\nAnswer 2: {other}\n"
    "Does answer 2 say the same as answer 1? Reply yes or no."
)
RAW_FORM = JudgeForm(f"{_ASKED}\nReply:", (" yes", " Yes"), (" no", " No"))
"""For a model that continues text."""
CHAT_FORM = JudgeForm(_ASKED, ("yes", "Yes"), ("no", "No"))
"""For a chat template."""


@dataclass(frozen=True)
class Verdict:
    """What the judge thought of two answers.

    Args:
        one, other: the answers, in the order they were shown.
        probability: P(same) / (P(same) + P(different)), in [0, 1].
        mass: P(same) + P(different); where it is small the judge meant to say
            something else, and the probability rests on little.
        same: the verdict.
    """

    one: str
    other: str
    probability: float
    mass: float
    same: bool


@dataclass(frozen=True)
class ModelJudge:
    """A model that judges, and by what rule.

    Args:
        model: Tokenized and Stepping.
        form: how it is asked; None: by `CHAT_FORM` or `RAW_FORM`.
        chat: whether prompts go through the chat template; None: if there is one.
        threshold: two are the same where the probability is above this, in (0, 1).
        ways, link: as for `nescio.judged_answers`.

    Raises:
        InvalidInput: a threshold that is none.
        CapabilityError: a model that gives no probabilities of given texts (an
            endpoint); name another one as the judge.
    """

    model: Any
    form: JudgeForm | None = None
    chat: bool | None = None
    threshold: float = 0.5
    ways: Ways = "both"
    link: Link = "connected_components"

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise InvalidInput(f"threshold is {self.threshold}: between 0 and 1")
        require(self.model, Tokenized, Stepping, purpose="judging answers")

    @property
    def through_chat(self) -> bool:
        """Whether it is asked through a chat template."""
        return uses_chat(self.model, self.chat)

    @property
    def asked_by(self) -> JudgeForm:
        """The form that is used."""
        return self.form or (CHAT_FORM if self.through_chat else RAW_FORM)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides a verdict, as JSON values."""
        return {
            "equivalence": "judge",
            "judge": self.model.origin.to_dict(),
            "chat": self.through_chat,
            "form": self.asked_by.settings,
            "threshold": self.threshold,
            "ways": self.ways,
            "link": self.link,
        }

    def verdict(self, question: str, one: str, other: str) -> Verdict:
        """What the model thinks of two answers to a question.

        Answers are shown with their first 4,000 characters.

        Raises:
            InvalidDistribution: it can say neither that they are the same nor not.
            InvalidText: an answer with a character the model cannot read.

        Example:
            >>> import nescio
            >>> form = JudgeForm("{one}{other}", ("H",), ("T",))
            >>> judge = ModelJudge(nescio.load("table:coin"), form)
            >>> judge.verdict("", "HT", "TH").probability
            0.5
        """
        form = self.asked_by
        prompt = form.prompt(question, one[:_LONGEST], other[:_LONGEST])
        texts = (*form.same, *form.different)
        (found,) = continuations(self.model, [prompt], [texts], chat=self.through_chat)
        same, different = (
            _total(found[: len(form.same)]),
            _total(found[len(form.same) :]),
        )
        mass = same + different
        if not mass > 0.0:
            raise InvalidDistribution(
                f"{self.model.name} can say neither that {one!r:.40} and {other!r:.40} "
                "are the same nor that they are not; change the form, or the judge"
            )
        sure = same / mass
        return Verdict(one, other, sure, min(mass, 1.0), sure > self.threshold)


@dataclass(frozen=True, eq=False)
class JudgedBy:
    """Answers whose sets a model joined, and what it said.

    Args:
        answers: with the sets joined.
        log: every verdict, in the order in which it was asked.
        non_transitive: the share of triples of sets of which two pairs are the same
            and the third is not.
    """

    answers: Answers
    log: tuple[Verdict, ...] = ()
    non_transitive: float = 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known of the verdicts."""
        found = []
        said = {verdict.same for verdict in self.log}
        if len(self.log) >= 4 and len(said) == 1:
            word = "yes" if said == {True} else "no"
            found.append(
                f"the judge said {word} to all {len(self.log)} pairs it was asked "
                "about: it may tell nothing apart"
            )
        low = sum(verdict.mass < 0.5 for verdict in self.log)
        if low:
            found.append(
                f"of {low} of {len(self.log)} verdicts yes and no together had less "
                "than half of the probability: the judge meant to say something else"
            )
        return tuple(found)


def judged_by(
    judge: ModelJudge,
    answers: Answers,
    *,
    question: str | None = None,
    said: Sequence[str] | None = None,
    known: MutableMapping[tuple[str, str], Verdict] | None = None,
) -> JudgedBy:
    """The samples of a question with the sets joined that a model says are the same.

    The recipe names all that decides a verdict, so that samples of two questions that
    were judged alike have one recipe and a calibrator may read both.

    Args:
        judge: the model and its rule.
        answers: sorted by what is the same beyond doubt.
        question: what was asked; None: as the answers say.
        said: what the judge is shown of each sample; None: the whole texts.
        known: verdicts of this question that are there already; filled with new ones.

    Raises:
        InvalidDistribution, InvalidText: as `ModelJudge.verdict`.

    Example:
        >>> import nescio
        >>> form = JudgeForm("{one}{other}", ("H",), ("T",))
        >>> judge = ModelJudge(nescio.load("table:coin"), form, threshold=0.4)
        >>> found = judged_by(judge, nescio.answers_of(["HT", "TH", "HT"]))
        >>> found.answers.votes.tolist(), [verdict.same for verdict in found.log]
        ([3], [True, True])

    Source: Kuhn, Gal & Farquhar (2023), with the model itself in place of an
    entailment model, as Farquhar et al. (2024).
    """
    asked = answers.question if question is None else question
    log = {} if known is None else known
    verdicts: list[Verdict] = []
    shown = answers if said is None else replace(answers, texts=tuple(said))

    def judge_of(one: str, other: str) -> bool:
        verdict = log.get((one, other)) or judge.verdict(asked, one, other)
        log[one, other] = verdict
        verdicts.append(verdict)
        return verdict.same

    joined = judged_answers(shown, judge_of, ways=judge.ways, link=judge.link)
    share = joined.recipe.get("non_transitive", 0.0)
    recipe = {**judge.settings, "before": dict(answers.recipe)}
    found = replace(joined, texts=answers.texts, recipe=recipe)
    return JudgedBy(found, tuple(verdicts), float(share or 0.0))


def _total(options: Sequence[Continuation]) -> float:
    """The probability of one of several texts, none of which begins another."""
    return sum(math.exp(option.logp) for option in options)
