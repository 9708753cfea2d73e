from .questions import (
    ClosedQuestion,
    QuestionRule,
    choice_questions,
    chosen_rule,
    presence_questions,
    prompt_of,
    questions_hash,
    reversed_order,
    words_of,
)
from .source import EXACT_VIEWS, NOISE_VIEWS, AnswerSource, StoredAnswers
from .tables import read_rows

__all__ = [
    "EXACT_VIEWS",
    "NOISE_VIEWS",
    "AnswerSource",
    "ClosedQuestion",
    "QuestionRule",
    "StoredAnswers",
    "choice_questions",
    "chosen_rule",
    "presence_questions",
    "prompt_of",
    "questions_hash",
    "read_rows",
    "reversed_order",
    "words_of",
]
