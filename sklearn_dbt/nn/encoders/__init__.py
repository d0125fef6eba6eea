"""Contrastive networks for nonlinear ICA, and the linear unmixing of what they learn."""

from ._joint_diagonalization import JointDiagonalization, joint_diagonalize, separability
from ._maxout import Maxout
from ._restarts import Restarts
from ._time_contrastive import TimeContrastiveNetwork

__all__ = [
    "JointDiagonalization",
    "Maxout",
    "Restarts",
    "TimeContrastiveNetwork",
    "joint_diagonalize",
    "separability",
]
