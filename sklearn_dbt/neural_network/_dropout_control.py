"""From a face's parameters to dropout layers and to what moves their rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

from torch import nn

from sklearn_dbt.nn.basis import Basis, make_basis
from sklearn_dbt.nn.dropout import Policy, TransformDropout
from sklearn_dbt.nn.trust_region import DecayController, TrustRegionController

__all__ = ["CONTROLLERS", "dropout_maker", "has_objective", "rate_controller", "schedule"]

CONTROLLERS = {"trust_region": TrustRegionController, "decay": DecayController}
# The divergence of the variational objective is infinite at rate 0.
LEAST_VARIATIONAL_RATE = 1e-3
# How many updates of the rates a whole fit makes when update_every="auto".
UPDATES_PER_FIT = 12
# The furthest that an update moves the rates, root mean square: about a quarter in a whole fit.
# Rates that go to zero within a fit leave its second half to overfit.
FURTHEST_MOVE = 0.02
# Masks over which the loss one step ahead is averaged: one alone says little about the rates.
PASSES = 8
# How many batches the running statistics look at for an update, and what a step forgets.
LOOKS_PER_UPDATE = 4
FORGETTING = 0.99


def schedule(n_steps: int, warm_up: float, update_every: int | str) -> dict[str, int]:
    """When rates are moved and statistics look at a batch, in optimizer steps.

    Parameters
    ----------
    n_steps : int
        Steps of the whole fit.
    warm_up : float
        Share of them in which rates stand still.
    update_every : int or "auto"
        Steps between two updates.

    Returns
    -------
    dict
        Keyword arguments that every controller takes.
    """
    warmup_steps = math.ceil(warm_up * n_steps)
    if update_every == "auto":
        update_every = max(1, round((n_steps - warmup_steps) / UPDATES_PER_FIT))
    return {
        "update_every": int(update_every),
        "observe_every": max(1, int(update_every) // LOOKS_PER_UPDATE),
        "warmup_steps": warmup_steps,
    }


def dropout_maker(
    options: Mapping[str, Any], observe_every: int, seed: int
) -> Callable[..., TransformDropout]:
    """Return what makes dropout layers, each with the next seed.

    Parameters
    ----------
    options : mapping
        The parameters of `NETWORK_PARAMETERS`.
    observe_every : int
        Steps between two looks of the statistics.
    seed : int
        Seed before the first layer's.

    Returns
    -------
    callable
        ``make(n_features, is_input=False)``.
    """
    by_kl = has_objective(options["controller"]) and options["objective"] == "variational"
    p_min = LEAST_VARIATIONAL_RATE if by_kl else 0.0

    def make(n_features: int, *, is_input: bool = False) -> TransformDropout:
        nonlocal seed
        seed += 1
        has_times = is_input or options["backbone"] == "conv"
        basis = make_basis(options["basis"], n_features, **options["basis_options"] or {})
        return TransformDropout(
            n_features,
            basis=basis,
            policy=_policy(options["policy"], basis, has_times),
            mask_sharing=options["mask_sharing"] if has_times else "none",
            p=max(options["dropout_rate"], p_min),
            p_min=p_min,
            locks=options["locks"] or () if is_input else (),
            sampling_rate=options["sampling_rate"] if has_times else None,
            momentum=FORGETTING**observe_every,
            seed=seed,
        )

    return make


def rate_controller(
    options: Mapping[str, Any],
    layers: Sequence[nn.Module],
    module: nn.Module,
    schedule: Mapping[str, int],
    likelihood: Mapping[str, Any],
) -> tuple[Any, int] | None:
    """Make the controller of a network's rates.

    Parameters
    ----------
    options : mapping
        The parameters of `NETWORK_PARAMETERS`.
    layers : sequence of nn.Module
        The dropout layers.
    module : nn.Module
        The network.
    schedule : mapping
        What `schedule` returned.
    likelihood : mapping
        ``likelihood`` and ``n_samples``, for the variational objective.

    Returns
    -------
    (controller, int) or None
        The controller and over how many passes its loss is averaged; None where rates are fixed.
    """
    kind, objective = options["controller"], options["objective"]
    given = options["controller_options"] or {}
    if kind == "fixed":
        return None
    arguments: dict[str, Any] = {**schedule}
    if has_objective(kind):
        arguments |= {"module": module, "objective": objective}
        if objective == "variational":
            arguments |= likelihood
    if kind == "trust_region" and not {"radius", "radius_min"} & set(given):
        arguments["radius_max"] = FURTHEST_MOVE
    if callable(kind):
        controller = kind(layers, **arguments | given)
        if not all(hasattr(controller, name) for name in ("layers", "step", "history")):
            raise TypeError(
                "controller must make an object with layers, step and history, such as a "
                f"TrustRegionController; {kind!r} made {controller!r}."
            )
    else:
        _check_options(given, CONTROLLERS[kind])
        controller = CONTROLLERS[kind](layers, **arguments | given)
    averages = has_objective(kind) and objective == "validation"
    return controller, PASSES if averages else 1


def has_objective(controller: str | Callable) -> bool:
    """Whether a controller is made as a `TrustRegionController` is."""
    return controller == "trust_region" or callable(controller)


def _check_options(given: Mapping[str, Any], make: type) -> None:
    """Raise unless a controller knows all of these keyword arguments."""
    known = set(signature(make).parameters) - {"layers", "module", "optimizer"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(
            f"controller_options of {make.__name__} may hold {', '.join(sorted(known))}; got "
            f"{', '.join(map(repr, unknown))}."
        )


def _policy(policy: str | Policy, basis: Basis, has_times: bool) -> str | Policy:
    """The policy for a layer, where "auto" leaves it open."""
    if policy != "auto":
        return policy
    has_frequencies = has_times and not basis.layout.frequency.isnan().any()
    return "frequency" if has_frequencies else "energy"
