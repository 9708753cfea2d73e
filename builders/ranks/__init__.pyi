from .ending import end_with
from .engines import ENGINES, Engine
from .forks import begin_fork, signals_held
from .kind import Finishing, Ranked
from .local_engine import cores_here, end_with_parent, ranks_here, run_locally, serve
from .markers import Finished, Markers
from .places import Place
from .plan import PLAN_FILE, Plan, RankPlan, code_version, cut, read_plan, retire_plan, write_plan
from .status import Progress, count_text, progress, ranks_text, state_text
from .tasks import EngineOptions, Submission
from .transfers import gather_files, hand_over_files
from .working import Made, Tick, Work, work_ranks

__all__ = [
    "ENGINES",
    "PLAN_FILE",
    "Engine",
    "EngineOptions",
    "Finished",
    "Finishing",
    "Made",
    "Markers",
    "Place",
    "Plan",
    "Progress",
    "RankPlan",
    "Ranked",
    "Submission",
    "Tick",
    "Work",
    "begin_fork",
    "code_version",
    "cores_here",
    "count_text",
    "cut",
    "end_with",
    "end_with_parent",
    "gather_files",
    "hand_over_files",
    "progress",
    "ranks_here",
    "ranks_text",
    "read_plan",
    "retire_plan",
    "run_locally",
    "serve",
    "signals_held",
    "state_text",
    "work_ranks",
    "write_plan",
]
