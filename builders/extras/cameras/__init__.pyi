from .design import SIMULATED_FILE
from .terms import CAMERA_SETS

__all__ = ["CAMERA_SETS", "SIMULATED_FILE"]
