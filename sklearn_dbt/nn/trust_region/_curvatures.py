"""The curvatures by name."""

from __future__ import annotations

from collections.abc import Callable

from ._curvature import Curvature, DiagonalCurvature, ExactCurvature
from ._kronecker import KroneckerCurvature
from ._lbfgs import LimitedMemoryCurvature

__all__ = ["CURVATURES", "make_curvature"]

CURVATURES: dict[str, type[Curvature]] = {
    "diagonal": DiagonalCurvature,
    "exact": ExactCurvature,
    "kronecker": KroneckerCurvature,
    "lbfgs": LimitedMemoryCurvature,
}


def make_curvature(
    curvature: str | Curvature, *, exact_limit: int = 16, n_probes: int = 8, memory: int = 10
) -> Curvature:
    """Curvature from its name, or as it is given.

    Parameters
    ----------
    curvature : {"diagonal", "exact", "kronecker", "lbfgs"} or Curvature
        Name or object.
    exact_limit, n_probes : int, default=16, 8
        For "diagonal".
    memory : int, default=10
        For "lbfgs".

    Returns
    -------
    Curvature
        The curvature.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If `curvature` is neither a name nor a `Curvature`.

    Examples
    --------
    >>> from sklearn_dbt.nn.trust_region import make_curvature
    >>> make_curvature("lbfgs", memory=3).memory
    3
    """
    if isinstance(curvature, Curvature):
        return curvature
    allowed = f"one of {sorted(CURVATURES)} or a Curvature"
    if not isinstance(curvature, str):
        raise TypeError(f"curvature must be {allowed}, got {type(curvature).__name__}.")
    makers: dict[str, Callable[[], Curvature]] = {
        **CURVATURES,
        "diagonal": lambda: DiagonalCurvature(exact_limit, n_probes),
        "lbfgs": lambda: LimitedMemoryCurvature(memory),
    }
    if curvature not in makers:
        raise ValueError(f"curvature must be {allowed}, got {curvature!r}.")
    return makers[curvature]()
