"""The methods of the encoder by name."""

from __future__ import annotations

from sklearn_dbt.decomposition._gcl import GeneralizedContrast
from sklearn_dbt.decomposition._ivae import VariationalBound
from sklearn_dbt.decomposition._method import Method
from sklearn_dbt.decomposition._pcl import PermutationContrast
from sklearn_dbt.decomposition._tcl import TimeContrast

METHODS: dict[str, type[Method]] = {
    "tcl": TimeContrast,
    "pcl": PermutationContrast,
    "gcl": GeneralizedContrast,
    "ivae": VariationalBound,
}


def make_method(name: str, unmixing: str, n_components: int, seed: int) -> Method:
    """Make a method.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    unmixing : {"auto", "joint_diagonalization", "fastica"}
        How "tcl" unmixes its features.
    n_components : int
        Number of components.
    seed : int
        Of what it draws beside the examples.

    Returns
    -------
    Method
    """
    options: dict[str, tuple] = {"tcl": (unmixing, seed), "ivae": (n_components,)}
    return METHODS[name](*options.get(name, ()))
