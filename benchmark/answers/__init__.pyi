from .flips import MARGIN_EDGES, NO_OPTION, Changes, ModelAnswers, answers_of, by_photo, changes_of, margin_groups
from .questions import (
    ClosedQuestion,
    QuestionRule,
    choice_questions,
    chosen_rule,
    closed_questions,
    presence_questions,
    prompt_of,
    questions_hash,
    reversed_order,
    words_of,
)
from .source import NOISE_VIEWS, AnswerSource, every_view
from .tables import read_rows

__all__ = [
    "MARGIN_EDGES",
    "NOISE_VIEWS",
    "NO_OPTION",
    "AnswerSource",
    "Changes",
    "ClosedQuestion",
    "ModelAnswers",
    "QuestionRule",
    "answers_of",
    "by_photo",
    "changes_of",
    "choice_questions",
    "chosen_rule",
    "closed_questions",
    "every_view",
    "margin_groups",
    "presence_questions",
    "prompt_of",
    "questions_hash",
    "read_rows",
    "reversed_order",
    "words_of",
]
