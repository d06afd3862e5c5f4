"""What is made of samples, and what is refused before any is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nescio.consistency.adaptive_sampling import AdaptiveDraws
from nescio.consistency.answers import Sorting, answers_of
from nescio.consistency.choices import check_choice
from nescio.consistency.dataset import Same
from nescio.errors import InvalidInput
from nescio.evaluation.agreement_probability import AgreementCalibrator
from nescio.evaluation.choosing import WAYS
from nescio.evaluation.consistency_asked import Asked as Survey
from nescio.evaluation.drawn_answers import Drawing
from nescio.evaluation.model_judging import ModelJudge
from nescio.evaluation.wordings import worded
from nescio.trace import Prompt

__all__ = [
    "HowRead",
    "check_asking",
    "check_calibrator",
    "check_gold",
    "gold_same",
    "prompts_of",
]


@dataclass(frozen=True)
class HowRead:
    """What is made of the samples of a question.

    Args:
        sorting: what an answer is and when two are the same.
        judge: a model that joins sets that say the same.
        survey: level and seed of all intervals, the similarities by which samples are
            compared two by two (an encoder's: `EmbeddedSimilarity`), and a threshold
            from which two are one set.
        calibrator: from agreement to the probability of being right.
        choose: how the answer is chosen, a name of
            `nescio.evaluation.choosing.WAYS`.
        same: whether the key of an answer is that of a gold one; None: the keys of both
            are equal.

    Raises:
        InvalidInput: an unknown way to choose.
    """

    sorting: Sorting = field(default_factory=Sorting)
    judge: ModelJudge | None = None
    survey: Survey = field(default_factory=Survey)
    calibrator: AgreementCalibrator | None = None
    choose: str = "majority"
    same: Same | None = None

    def __post_init__(self) -> None:
        check_choice("way to choose", self.choose, WAYS)


def prompts_of(prompt: Prompt, wordings: Sequence[str]) -> tuple[Prompt, ...]:
    """The prompts that ask a question, one a wording.

    Raises:
        InvalidInput: nothing is asked, one text in place of a list, a wording that
            stands twice or has no ``{question}`` in it.
    """
    said = prompt.text if prompt.text is not None else prompt.source or ""
    if not prompt.messages and not said.strip():
        raise InvalidInput("the question is empty: there is nothing to ask")
    if any(not m.content.strip() for m in prompt.messages if m.role == "user"):
        raise InvalidInput("the question is empty: there is nothing to ask")
    if isinstance(wordings, str):
        raise InvalidInput("wordings is one text; give a list of them")
    twice = [text for place, text in enumerate(wordings) if text in wordings[:place]]
    if twice:
        raise InvalidInput(f"the wording {twice[0]!r:.80} stands twice")
    return tuple(worded(prompt, text) for text in wordings) or (prompt,)


def check_asking(
    prompt: Prompt, wordings: Sequence[str], drawing: Drawing, read: HowRead
) -> None:
    """Refuse before anything is drawn what would be refused after it.

    Args:
        prompt, wordings: what is asked.
        drawing: how, and how often.
        read: what is made of the samples.

    Raises:
        InvalidInput: as `ask`.
    """
    asked = len(prompts_of(prompt, wordings))
    adaptive = isinstance(drawing.draws, AdaptiveDraws)
    if adaptive and asked > 1:
        raise InvalidInput(
            "each of several wordings would stop by itself: give a number of draws"
        )
    if drawing.most * asked < 2:
        raise InvalidInput(
            "one answer agrees with nothing: ask at least twice (-n 2), better 20 "
            "times; nescio trace --generate draws one and says how sure each word is"
        )
    if read.calibrator is not None:
        samples = None if adaptive else drawing.most * asked
        check_calibrator(read.calibrator, read, samples)


def check_gold(gold: Sequence[str]) -> None:
    """Refuse a right answer that is empty before anything is drawn.

    Raises:
        InvalidInput: one text in place of a list, or an empty one.

    Example:
        >>> check_gold(["12", "twelve"])
    """
    if isinstance(gold, str):
        raise InvalidInput("gold is one text; give a list of right answers")
    if not all(one.strip() for one in gold):
        raise InvalidInput("a right answer is empty: nothing could be right")


def check_calibrator(
    calibrator: AgreementCalibrator, read: HowRead, samples: int | None
) -> None:
    """Refuse a calibrator of other samples or sets before anything is drawn.

    Args:
        calibrator: that is to read them.
        read: how they will be sorted.
        samples: how many there will be; None: a rule decides.

    Raises:
        InvalidInput: saying what differs.
    """
    meter = calibrator.meter
    if samples is None:
        raise InvalidInput(
            f"the calibrator reads {meter.samples} samples of each question; where a "
            f"rule stops there may be others: ask {meter.samples} times, without the "
            "rule"
        )
    recipe = dict(read.sorting.recipe)
    if read.judge is not None:
        recipe = {**read.judge.settings, "before": recipe}
    if read.survey.threshold is None:
        probe = answers_of(["1"] * samples, Sorting(recipe=recipe))
        meter.check([replace(probe, id="this question")])


def gold_same(sorting: Sorting) -> Same | None:
    """Whether the key of a set is that of a gold answer; None: normalised texts are.

    Example:
        >>> gold_same(Sorting(key=str.lower))("paris", "Paris")
        True
    """
    key = sorting.key
    return None if key is None else lambda found, gold: found == key(gold)
