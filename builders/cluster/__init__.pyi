from .engines import ENGINES, Engine
from .engines.executors import EngineOptions, Submission
from .engines.local import cores_here, end_with_parent, ranks_here, run_locally, serve
from .markers import Finished, Markers
from .plan import PLAN_FILE, Plan, RankPlan, code_version, cut, read_plan, retire_plan, write_plan
from .status import Progress, count_text, progress, ranks_text, state_record, state_text
from .storage import StorageFolder, download_files, upload_files
from .worker import FinishOptions, ProgressCallback, RankedWork, RankResult, Work, work_ranks

__all__ = [
    "ENGINES",
    "PLAN_FILE",
    "Engine",
    "EngineOptions",
    "FinishOptions",
    "Finished",
    "Markers",
    "Plan",
    "Progress",
    "ProgressCallback",
    "RankPlan",
    "RankResult",
    "RankedWork",
    "StorageFolder",
    "Submission",
    "Work",
    "code_version",
    "cores_here",
    "count_text",
    "cut",
    "download_files",
    "end_with_parent",
    "progress",
    "ranks_here",
    "ranks_text",
    "read_plan",
    "retire_plan",
    "run_locally",
    "serve",
    "state_record",
    "state_text",
    "upload_files",
    "work_ranks",
    "write_plan",
]
