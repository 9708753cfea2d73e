from .engines import ENGINES, Engine
from .engines.executors import EngineOptions, Submission
from .engines.local import end_with_parent, ranks_here, run_locally, serve, use_cpus
from .machine import PACKAGES, version_facts, versions_here
from .markers import Finished, Markers
from .plan import PLAN_FILE, Plan, RankPlan, code_version, cut, rank_numbers, read_plan, retire_plan, write_plan
from .rank_files import LATE_S, RankFiles, refuse_other_versions
from .status import Progress, count_text, progress, ranks_text, state_record, state_text
from .storage import StorageFolder, download_files, upload_files
from .worker import FinishOptions, ProgressCallback, RankedWork, RankResult, Work, check_facts, work_ranks

__all__ = [
    "ENGINES",
    "LATE_S",
    "PACKAGES",
    "PLAN_FILE",
    "Engine",
    "EngineOptions",
    "FinishOptions",
    "Finished",
    "Markers",
    "Plan",
    "Progress",
    "ProgressCallback",
    "RankFiles",
    "RankPlan",
    "RankResult",
    "RankedWork",
    "StorageFolder",
    "Submission",
    "Work",
    "check_facts",
    "code_version",
    "count_text",
    "cut",
    "download_files",
    "end_with_parent",
    "progress",
    "rank_numbers",
    "ranks_here",
    "ranks_text",
    "read_plan",
    "refuse_other_versions",
    "retire_plan",
    "run_locally",
    "serve",
    "state_record",
    "state_text",
    "upload_files",
    "use_cpus",
    "version_facts",
    "versions_here",
    "work_ranks",
    "write_plan",
]
