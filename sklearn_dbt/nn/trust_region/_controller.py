"""The trust-region controller of dropout rates."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ._base import RateController, check_float, check_integer
from ._curvature import Curvature
from ._curvatures import make_curvature
from ._group import RateGroup
from ._objective import Losses, Objective, TrainObjective, buffers_kept
from ._protocol import RateLayer, check_layers
from ._radius import RadiusRule
from ._subproblem import StepSolver, make_step
from ._update import Outcome, Update
from ._validation import ValidationObjective
from ._variational import LIKELIHOODS, VariationalObjective

__all__ = ["OBJECTIVES", "TrustRegionController"]

OBJECTIVES: dict[str, type[Objective]] = {
    "train": TrainObjective,
    "validation": ValidationObjective,
    "variational": VariationalObjective,
}

_RADIUS = 0.02


class TrustRegionController(RateController):
    r"""Move dropout rates by trust-region steps on a smooth objective.

    Every `update_every` optimizer steps it looks for parameters :math:`\omega` of the rates
    :math:`p(\omega; \nu)` that lower an objective :math:`J`, one of

    .. math::

        \text{train:} \quad J(\omega) &= L(\omega; u)
            + \lambda \sum_k w_k \, \mathrm E[p_k] \operatorname{var}(c_k) \\
        \text{validation:} \quad J(\omega) &= L_{\mathrm{val}}\bigl( W - \eta P \nabla_W
            L(W, \omega; u) \bigr) \\
        \text{variational:} \quad J(\omega) &= -\overline{\log p(y \mid x, \omega; u)}
            + \frac{\kappa}{N} \sum_k \mathrm{KL}\Bigl( \frac{p_k}{1 - p_k} \Bigr)

    where :math:`L` is the current batch's loss with *concrete* (relaxed) masks at fixed uniforms
    :math:`u` and a fixed temperature: gradient, quadratic model and the ratio test all use this one
    smooth function. The first pushes rates down under control. The second asks which rates make
    the coming step of the weights good for held-out rows, without masks: rates rise where dropping
    prevents overfitting. The third weighs the likelihood of the training rows against the cost of
    keeping a coefficient, and needs no held-out rows.

    The model is :math:`q(s) = J + g^\top s + \frac12 s^\top H s`, with a `curvature` :math:`H` to
    choose. A `step` is measured in the metric :math:`G = A^\top A + \varepsilon I`,
    :math:`A = \partial p / \partial \omega`, in which it is as long as the change of the rates it
    makes; the metric is also what preconditions the solvers where a basis is ill-conditioned. The
    whole move, the refresh of the policies' frozen statistics :math:`\nu` included, obeys *exactly*

    .. math:: d(\pi_{t+1}, \pi_t) = \Bigl[ \frac1B \sum_{b, k}
              \bigl( \pi_{t+1, bk} - \pi_{t, bk} \bigr)^2 \Bigr]^{1/2} \le \Delta_t

    on the batch's coefficients, summed over all layers; the radius grows and shrinks with the
    ratio of actual to predicted reduction, and a rejected move leaves every rate bitwise as it was.

    Parameters
    ----------
    layers : sequence of RateLayer
        Layers whose rates are moved together, for example every `TransformDropout` of a network.
    objective : {"train", "validation", "variational"}, default="train"
        What the rates are to lower. "validation" needs `module`, `optimizer`, and a
        `validation_loss` in each `step`; "variational" needs `n_samples`, layers whose rates
        cannot reach 0 (``p_min > 0``), and policies that do not depend on the sample.
    penalty : float, default=None
        :math:`\lambda \ge 0`, for any of the objectives; None is 0.1 for "train" and 0 for the
        others. `TransformDropout` scales the weights :math:`w_k` so that the sum is the fraction
        of variance that its rates drop.
    radius : float, default=None
        First radius, per square root of the number of rates: the root mean square change of a
        rate in one update. None is 0.02, or the bound of `radius_min` and `radius_max` that is
        nearest to it.
    radius_min, radius_max : float, default=2e-3, 0.05
        Bounds of the radius, in the same unit. The lower one holds for the start of an update.
    eta1, eta2 : float, default=0.1, 0.75
        A ratio below `eta1` rejects the step, one from `eta2` on enlarges the radius.
    gamma1, gamma2 : float, default=0.5, 2.0
        Factors that shrink and enlarge the radius.
    update_every : int, default=10
        Optimizer steps between two updates.
    observe_every : int, default=1
        Optimizer steps between two looks of the running statistics at a batch; they also look at
        each update. More than 1 saves time where energies change slowly.
    warmup_steps : int, default=10
        Optimizer steps in which the rates stand still and statistics are gathered.
    temperature : float, default=0.5
        Temperature of the relaxed masks.
    curvature : {"diagonal", "exact", "kronecker", "lbfgs"} or Curvature, default="diagonal"
        "diagonal" on the principal axes of the metric, "exact" the whole Hessian, "kronecker" a
        product over channels and coefficients in the space of rates, never negative, "lbfgs" from
        a memory of steps and changes of the gradient, without second derivatives; see
        `DiagonalCurvature`, `ExactCurvature`, `KroneckerCurvature`, `LimitedMemoryCurvature`.
    step : {"cauchy", "dogleg", "steihaug"} or callable, default="cauchy"
        "cauchy" is the minimum along the steepest descent, "dogleg" goes on to the model's
        minimum where there is one, "steihaug" is truncated conjugate gradients, which follow
        negative curvature too; see `cauchy_step`, `dogleg_step`, `steihaug_step`.
    max_retries : int, default=2
        How often a rejected step is tried again in the same update with a smaller radius.
    max_inner : int, default=1
        Largest number of accepted steps in one update, all on the same batch and uniforms, each
        with a new model at the place reached. The whole move stays within the radius.
    rho_stop : float, default=0.9
        An update ends before `max_inner` where a step is rejected, or its ratio is above this: the
        model is good.
    exact_limit : int, default=16
        For "diagonal": number of parameters up to which the curvature is exact; beyond,
        Hutchinson's estimate with `n_probes` random vectors.
    n_probes : int, default=8
        See `exact_limit`.
    memory : int, default=10
        For "lbfgs": number of pairs that are kept.
    damping : float, default=1e-6
        :math:`\varepsilon` per rate.
    stationary_tol : float, default=1e-6
        Relative size of the projected gradient under which no step is made.
    collapse_after : int, default=3
        Number of consecutive updates ending at `radius_min` or below after which `collapsed` is
        set and a warning given.
    module : torch.nn.Module, default=None
        The network that `loss` calls. If given, its buffers (running statistics of batch
        normalisation) are as before after an update; else every evaluation of the loss moves them
        as one more pass over the same batch does.
    optimizer : torch.optim.SGD, Adam, AdamW or RMSprop, default=None
        For "validation": moves the parameters of `module`. Its learning rate is :math:`\eta`, up to
        `lookahead`, and its second moments give :math:`P = 1 / (\sqrt{\hat v} + \epsilon)`, for
        SGD :math:`P = 1`. Momentum and weight decay are left out of the unrolled step, since the
        rates do not change them. Neither weights nor optimizer are changed.
    lookahead : float, default=1.0
        For "validation": length of the unrolled step in optimizer steps. A longer look makes the
        rates' effect on the held-out loss larger, but far beyond 1 overshoots: a batch's own
        gradient is not averaged, as the optimizer's momentum is.
    kl_weight : float, default=1.0
        For "variational": :math:`\kappa \ge 0`.
    n_samples : int, default=None
        For "variational": number :math:`N` of training rows; with the likelihood "gaussian" and
        several outputs, rows times outputs.
    likelihood : {"given", "gaussian"}, default="given"
        For "variational": "given" says that the loss is the mean negative log-likelihood, as the
        cross-entropy is; "gaussian" that it is a mean squared error, of which
        :math:`\frac12 \log(2 \pi e L)` is taken, the likelihood under the variance that fits best.
    process_group : torch.distributed.ProcessGroup, default=None
        Processes that train together; None is all of them where `torch.distributed` is
        initialised, else this one alone. See the notes.
    seed : int, default=0
        Seed of the random vectors of `n_probes`.

    Attributes
    ----------
    history : dict of lists
        One entry an update: ``step`` (optimizer steps so far), ``radius`` (the one in force before
        the decision that ended the update, or that last moved the rates), ``step_norm`` (the
        distance moved, at most the radius; 0 when rejected), ``rho``, ``accepted``, ``loss`` and
        ``objective`` (:math:`L` of the training batch and :math:`J` before the move), ``mean_rate``
        (after it), ``n_rates`` (divide radius and step_norm by its square root to get them per
        rate).
    radius : float
        Radius with which the next update starts, per square root of the number of rates.
    collapsed : bool
        Early warning: the radius has stayed at its minimum.
    n_steps, n_updates : int
        Optimizer steps and updates so far.

    Notes
    -----
    An update costs one pass forward and backward, one Hessian-vector product a parameter (two to
    four a layer with the policies by name; one in all with "kronecker", none with "lbfgs"), and one
    pass forward for each try ("lbfgs": and backward). With "validation", a
    pass over the held-out rows comes with each of them, each evaluation needs the gradient in the
    weights, and curvatures are differences of gradients. Other random layers
    in the network (`torch.nn.Dropout`) draw anew in each evaluation and blur the ratio. Weights'
    ``grad`` is not touched, and the layers' generators are used once an update, for :math:`u`.

    Where several processes train together, every one must call `step` equally often, also after a
    batch that it has no share of. All take the same steps: the running statistics are pooled after
    each training step, in one message; value, gradient and curvature in another at each update,
    weighted by the number of samples, and the values at trial points in one each. Rates that depend
    on the sample need further ones for the metric and for distances. An evaluation of `loss`
    through `torch.nn.parallel.DistributedDataParallel` sends messages of its own, which a process
    without samples would not answer: let `loss` call the module inside (``net.module``) where that
    may happen.

    References
    ----------
    .. [1] A. R. Conn, N. I. M. Gould and P. L. Toint, "Trust-Region Methods", SIAM, 2000.
    .. [2] C. J. Maddison, A. Mnih and Y. W. Teh, "The Concrete Distribution: A Continuous
       Relaxation of Discrete Random Variables", ICLR 2017.
    .. [3] H. Liu, K. Simonyan and Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019
       (the unrolled step).
    .. [4] D. Molchanov, A. Ashukha and D. Vetrov, "Variational Dropout Sparsifies Deep Neural
       Networks", ICML 2017.
    .. [5] T. Steihaug, "The Conjugate Gradient Method and Trust Regions in Large Scale
       Optimization", SIAM Journal on Numerical Analysis 20(3), 626-637, 1983.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import TransformDropout
    >>> from sklearn_dbt.nn.trust_region import TrustRegionController
    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(32, 8, generator=g)
    >>> layer = TransformDropout(8, p=0.5, seed=0)
    >>> controller = TrustRegionController([layer], update_every=1, warmup_steps=0)
    >>> loss = lambda: (layer(x) - x).square().mean()
    >>> for _ in range(3):
    ...     _ = loss()  # an optimizer step would be here
    ...     moved = controller.step(loss)
    >>> history = controller.history
    >>> history["accepted"], [round(r, 2) for r in history["mean_rate"]]
    ([True, True, True], [0.47, 0.44, 0.39])
    >>> all(d <= r for d, r in zip(history["step_norm"], history["radius"]))
    True
    """

    _state_names = ("radius", "collapsed", "_n_small", "_generator_state", "_curvature_state")

    def __init__(
        self,
        layers: Sequence[RateLayer],
        *,
        objective: str = "train",
        penalty: float | None = None,
        radius: float | None = None,
        radius_min: float = 2e-3,
        radius_max: float = 0.05,
        eta1: float = 0.1,
        eta2: float = 0.75,
        gamma1: float = 0.5,
        gamma2: float = 2.0,
        update_every: int = 10,
        observe_every: int = 1,
        warmup_steps: int = 10,
        temperature: float = 0.5,
        curvature: str | Curvature = "diagonal",
        step: str | StepSolver = "cauchy",
        max_retries: int = 2,
        max_inner: int = 1,
        rho_stop: float = 0.9,
        exact_limit: int = 16,
        n_probes: int = 8,
        memory: int = 10,
        damping: float = 1e-6,
        stationary_tol: float = 1e-6,
        collapse_after: int = 3,
        module: nn.Module | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        lookahead: float = 1.0,
        kl_weight: float = 1.0,
        n_samples: int | None = None,
        likelihood: str = "given",
        process_group: Any = None,
        seed: int = 0,
    ) -> None:
        kind = _entry("objective", objective, OBJECTIVES)
        self.rule = RadiusRule(eta1, eta2, gamma1, gamma2, radius_min, radius_max)
        if radius is None:
            radius = min(max(_RADIUS, radius_min), radius_max)
        self.radius = check_float("radius", radius, radius_min, radius_max, open_low=False)
        penalty = kind.default_penalty if penalty is None else penalty
        self.penalty = check_float("penalty", penalty, 0.0, math.inf, open_low=False)
        self.temperature = check_float("temperature", temperature, 0.0, math.inf, open_low=True)
        self.damping = check_float("damping", damping, 0.0, math.inf, open_low=True)
        self.stationary_tol = check_float(
            "stationary_tol", stationary_tol, 0.0, math.inf, open_low=False
        )
        self.max_retries = check_integer("max_retries", max_retries, 0)
        self.max_inner = check_integer("max_inner", max_inner, 1)
        self.rho_stop = check_float("rho_stop", rho_stop, 0.0, math.inf, open_low=False)
        self.exact_limit = check_integer("exact_limit", exact_limit, 0)
        self.n_probes = check_integer("n_probes", n_probes, 1)
        self.memory = check_integer("memory", memory, 1)
        self.solver = make_step(step)
        self.curvature = make_curvature(
            curvature, exact_limit=self.exact_limit, n_probes=self.n_probes, memory=self.memory
        )
        self.collapse_after = check_integer("collapse_after", collapse_after, 1)
        self.lookahead = check_float("lookahead", lookahead, 0.0, math.inf, open_low=True)
        self.kl_weight = check_float("kl_weight", kl_weight, 0.0, math.inf, open_low=False)
        self.n_samples = None if n_samples is None else check_integer("n_samples", n_samples, 1)
        self.likelihood = likelihood
        _entry("likelihood", likelihood, LIKELIHOODS)
        self.objective = objective
        self.module = module
        self.optimizer = optimizer
        self.collapsed = False
        self._n_small = 0
        self._generator_state = torch.Generator().manual_seed(seed).get_state()
        layers = check_layers(layers)
        kind.check_layers(layers)
        self.curvature.check_layers(layers)
        super().__init__(
            layers,
            update_every=update_every,
            observe_every=observe_every,
            warmup_steps=warmup_steps,
            process_group=process_group,
        )

    @property
    def _curvature_state(self) -> Any:
        return self.curvature.state

    @_curvature_state.setter
    def _curvature_state(self, state: Any) -> None:
        self.curvature.state = state

    def _check_needs(self, losses: Losses) -> None:
        OBJECTIVES[self.objective].check_needs(self, losses)

    def _update(self, group: RateGroup, losses: Losses) -> None:
        generator = torch.Generator()
        generator.set_state(self._generator_state)
        kind = OBJECTIVES[self.objective]

        def make_objective(snapshots: list[Any], uniforms: list[list[Tensor]]) -> Objective:
            return kind(self, group, snapshots, losses, uniforms)

        with buffers_kept(self.module, group.layers):
            outcome = Update(self, group, make_objective, generator).run(self.radius)
        self._generator_state = generator.get_state()
        self.radius = outcome.next_radius
        self._record(
            step=self.n_steps,
            **{name: getattr(outcome, name) for name in self._history if name != "step"},
        )
        self._watch(outcome)

    def _watch(self, outcome: Outcome) -> None:
        """Raise the flag after several updates in a row that end at the smallest radius."""
        small = not outcome.stationary and self.radius <= self.rule.minimum
        self._n_small = self._n_small + 1 if small else 0
        collapsed = self._n_small >= self.collapse_after
        if collapsed and not self.collapsed:
            warnings.warn(
                f"The trust region has collapsed: {self._n_small} updates in a row ended at "
                f"radius_min={self.rule.minimum} or below. The loss may be noisy (other random "
                "layers), not finite, or the temperature too low.",
                RuntimeWarning,
                stacklevel=4,
            )
        self.collapsed = collapsed


_T = TypeVar("_T")


def _entry(name: str, value: str, allowed: Mapping[str, _T]) -> _T:
    """Look a name up, or say which ones there are."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {sorted(allowed)}, got {value!r}.")
    return allowed[value]
