"""Contrastive and variational networks for nonlinear ICA, and the linear unmixing around them."""

from ._generalized_contrastive import GeneralizedContrastiveNetwork
from ._identifiable_vae import IdentifiableVAE
from ._joint_diagonalization import JointDiagonalization, joint_diagonalize, separability
from ._permutation_contrastive import ComponentwiseNetworks, PermutationContrastiveNetwork
from ._restarts import Restarts
from ._source_network import SourceNetwork
from ._time_contrastive import TimeContrastiveNetwork

__all__ = [
    "ComponentwiseNetworks",
    "GeneralizedContrastiveNetwork",
    "IdentifiableVAE",
    "JointDiagonalization",
    "PermutationContrastiveNetwork",
    "Restarts",
    "SourceNetwork",
    "TimeContrastiveNetwork",
    "joint_diagonalize",
    "separability",
]
