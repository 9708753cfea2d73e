from .conclusions import RULE, Conclusion, Conclusions, Finding, conclude
from .confounds import CONFOUND_TITLES, SILENT_LAYER, power_text, unconfounded_text, untestable_text
from .deciding import LEVEL, Answer, is_confounded
from .detectors import Bias, biases, biases_text
from .differences import LossJudgement, decide_differences, extremes, jitter_of, judge_loss, loss_level, moves
from .outputs import AGAINST_FINAL, WHOLE_VIEW, DepthCurves, choose_outputs, depth_curves, output_questions
from .scores import chance_of, find_score
from .statement import Statement, statements
from .traces import Flag, Verdict, chance_flags, judge, verdicts
from .training import learning_curve, training_margin
from .units import units_text
from .words import (
    FLAG_WORDS,
    TRACE_KEYS,
    TRACE_SUFFIXES,
    ErasedReader,
    differing_text,
    erased_text,
    extremes_text,
    losses_text,
    moves_text,
    outputs_text,
    readers_text,
    traces_text,
)

__all__ = [
    "AGAINST_FINAL",
    "CONFOUND_TITLES",
    "FLAG_WORDS",
    "LEVEL",
    "RULE",
    "SILENT_LAYER",
    "TRACE_KEYS",
    "TRACE_SUFFIXES",
    "WHOLE_VIEW",
    "Answer",
    "Bias",
    "Conclusion",
    "Conclusions",
    "DepthCurves",
    "ErasedReader",
    "Finding",
    "Flag",
    "LossJudgement",
    "Statement",
    "Verdict",
    "biases",
    "biases_text",
    "chance_flags",
    "chance_of",
    "choose_outputs",
    "conclude",
    "decide_differences",
    "depth_curves",
    "differing_text",
    "erased_text",
    "extremes",
    "extremes_text",
    "find_score",
    "is_confounded",
    "jitter_of",
    "judge",
    "judge_loss",
    "learning_curve",
    "loss_level",
    "losses_text",
    "moves",
    "moves_text",
    "output_questions",
    "outputs_text",
    "power_text",
    "readers_text",
    "statements",
    "traces_text",
    "training_margin",
    "unconfounded_text",
    "units_text",
    "untestable_text",
    "verdicts",
]
