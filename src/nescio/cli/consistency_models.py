"""What a model is needed for where samples are there: encoders, and a judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nescio.consistency.answers import Answers, Sorting
    from nescio.evaluation.model_judging import JudgedBy, ModelJudge, Verdict

__all__ = ["Models", "judge_of", "judged_sets"]


@dataclass(frozen=True, eq=False)
class Models:
    """What a model is needed for: encoders, and sets that a judge joined."""

    similarities: tuple[Any, ...]
    judged: dict[str, JudgedBy]

    @property
    def join(self) -> Callable[[Answers], Answers] | None:
        """To the sets that were joined; None: none were."""
        return (lambda one: self.judged[one.id].answers) if self.judged else None

    @property
    def log(self) -> tuple[Verdict, ...]:
        """Every verdict."""
        return tuple(verdict for one in self.judged.values() for verdict in one.log)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known of the verdicts."""
        from nescio.evaluation.model_judging import JudgedBy

        return JudgedBy(first.answers, self.log).notes if (first := self.first) else ()

    @property
    def first(self) -> JudgedBy | None:
        """The first question that was judged."""
        return next(iter(self.judged.values()), None)


def judge_of(name: str) -> ModelJudge:
    """The model of a specification as a judge."""
    from nescio.cli.loading import loaded
    from nescio.evaluation.model_judging import ModelJudge

    return ModelJudge(loaded(name))


def judged_sets(
    judge: ModelJudge | None,
    answers: Sequence[Answers],
    sorting: Sorting,
    report: Callable[[int, int], None],
) -> dict[str, JudgedBy]:
    """The sets of each question as the judge joins them; empty without one."""
    from nescio.evaluation.choosing import said_in
    from nescio.evaluation.model_judging import judged_by

    found = {}
    for done, one in enumerate(answers if judge is not None else (), start=1):
        if judge is not None:
            found[one.id] = judged_by(judge, one, said=said_in(one, sorting))
        report(done, len(answers))
    return found
