from .request import read_request
from .work import CODE, absolute, code, go_to_folder, ranked, request_of, work_on_plan

__all__ = [
    "CODE",
    "absolute",
    "code",
    "go_to_folder",
    "ranked",
    "read_request",
    "request_of",
    "work_on_plan",
]
