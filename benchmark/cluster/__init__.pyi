from .request import read_request, request_of
from .work import CODE, absolute, code, go_to_folder, ranked, work_on_plan

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
