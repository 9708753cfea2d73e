from .metric_spaces import write_space
from .publish import PublishRequest, publish_eraser, publish_results, push_folder_of_results
from .verify import VERDICTS, Verification, verified

__all__ = [
    "VERDICTS",
    "PublishRequest",
    "Verification",
    "publish_eraser",
    "publish_results",
    "push_folder_of_results",
    "verified",
    "write_space",
]
