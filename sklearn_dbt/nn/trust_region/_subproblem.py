"""The step solvers by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ._dogleg import dogleg_step
from ._model import QuadraticModel
from ._steihaug import steihaug_step
from ._step import cauchy_step

__all__ = ["STEPS", "StepSolver", "make_step"]

#: Takes the model, the radius, and lower and upper bounds of the step; returns the step.
StepSolver = Callable[[QuadraticModel, float, Tensor | None, Tensor | None], Tensor]

STEPS: dict[str, StepSolver] = {
    "cauchy": cauchy_step,
    "dogleg": dogleg_step,
    "steihaug": steihaug_step,
}


def make_step(step: str | StepSolver) -> StepSolver:
    """Step solver from its name, or as it is given.

    Parameters
    ----------
    step : {"cauchy", "dogleg", "steihaug"} or callable
        Name, or a function of model, radius, lower and upper bounds of the step.

    Returns
    -------
    callable
        The solver.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If `step` is neither a name nor callable.

    Examples
    --------
    >>> from sklearn_dbt.nn.trust_region import dogleg_step, make_step
    >>> make_step("dogleg") is dogleg_step
    True
    """
    if isinstance(step, str):
        if step not in STEPS:
            raise ValueError(f"step must be one of {sorted(STEPS)} or a callable, got {step!r}.")
        return STEPS[step]
    if not callable(step):
        raise TypeError(
            f"step must be one of {sorted(STEPS)} or a callable, got {type(step).__name__}."
        )
    return step
