"""Does a model answer right, and does it know: tasks, answers, gold and protocols.

An extraction and an equivalence are built from a short text by the function of the same
name in `nescio.evaluation.extraction` and `nescio.evaluation.equivalence`.
"""

from nescio.evaluation import adaptive_temperature, thermometer
from nescio.evaluation.answer_state_reading import answer_states as answer_states
from nescio.evaluation.answer_state_reading import token_states
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.answer_texts import TextStates
from nescio.evaluation.articles import stretches, wikitext_articles
from nescio.evaluation.builtin_tasks import arithmetic, capitals, last_words
from nescio.evaluation.equivalence import (
    EQUIVALENCES,
    Boolean,
    Choice,
    Dated,
    Equivalence,
    Exact,
    Near,
    Normalised,
    Numeric,
    is_right,
    sets_of,
)
from nescio.evaluation.extraction import STEPS, Extraction, Step
from nescio.evaluation.generated import Generated, GeneratedAnswer, generated, judged
from nescio.evaluation.learned_temperature import LearnedTemperature, Learning
from nescio.evaluation.learned_temperature_files import (
    read_learned_temperature,
    write_learned_temperature,
)
from nescio.evaluation.multiple_choice import (
    Choices,
    choices_by_letter,
    choices_by_text,
)
from nescio.evaluation.next_token import NextTokens, next_tokens, next_tokens_of
from nescio.evaluation.next_token_estimates import next_token_estimates
from nescio.evaluation.next_token_survey import next_token_survey
from nescio.evaluation.next_token_temperature import next_token_temperature
from nescio.evaluation.parts import aligned, halves
from nescio.evaluation.replies import Reply, replies
from nescio.evaluation.task_reading import QuestionFields, read_questions, read_task
from nescio.evaluation.tasks import Layout, Question, Task, asked, with_examples
from nescio.evaluation.transfer import (
    Domain,
    Transferred,
    alignment_differences,
    by_group,
    transfer,
)
from nescio.evaluation.true_probability import Judged, TrueForm, true_probability
from nescio.evaluation.unseen_tasks import (
    mean_over_tasks,
    pooled_temperature,
    unseen_tasks,
)
from nescio.evaluation.verbalised import (
    Verbalised,
    ask_confidence,
    verbalised_confidence,
)

__all__ = [
    "AnswerStates",
    "Boolean",
    "Choice",
    "Choices",
    "Dated",
    "Domain",
    "EQUIVALENCES",
    "Equivalence",
    "Exact",
    "Extraction",
    "Generated",
    "GeneratedAnswer",
    "Judged",
    "Layout",
    "LearnedTemperature",
    "Learning",
    "Near",
    "NextTokens",
    "Normalised",
    "Numeric",
    "Question",
    "QuestionFields",
    "Reply",
    "STEPS",
    "Step",
    "Task",
    "TextStates",
    "Transferred",
    "TrueForm",
    "Verbalised",
    "adaptive_temperature",
    "aligned",
    "alignment_differences",
    "answer_states",
    "arithmetic",
    "ask_confidence",
    "asked",
    "by_group",
    "capitals",
    "choices_by_letter",
    "choices_by_text",
    "generated",
    "halves",
    "is_right",
    "judged",
    "last_words",
    "mean_over_tasks",
    "next_token_estimates",
    "next_token_survey",
    "next_token_temperature",
    "next_tokens",
    "next_tokens_of",
    "pooled_temperature",
    "read_learned_temperature",
    "read_questions",
    "read_task",
    "replies",
    "sets_of",
    "stretches",
    "thermometer",
    "token_states",
    "transfer",
    "true_probability",
    "unseen_tasks",
    "verbalised_confidence",
    "wikitext_articles",
    "with_examples",
    "write_learned_temperature",
]
