"""The peers of the dropout study: one class an idea, each written for a whole stack of networks.

A method gets the settings of all models of a stack and answers, at each step, how the models'
inputs ``(M, B, C, T)`` and hidden units ``(M, B, H)`` are multiplied or changed. Model ``i`` draws
from generator ``i`` only, so that it is trained in a stack just as it would be alone. `PEERS` holds
the methods and the grids over which they are tuned.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pywt
import torch
from torch import Tensor

RATES = (0.1, 0.2, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Stage:
    """What a method may know of the stack it works in.

    Attributes
    ----------
    X : Tensor of shape (n, C, T)
        All training recordings, not standardised.
    scale : Tensor of shape (M, C, 1)
        Standard deviation by which each model divides a channel.
    n_train, n_hidden : int
        Training rows and hidden units of each model.
    regression : bool
        Whether the loss is the squared error, not the cross-entropy.
    generators : list of torch.Generator
        One a model; masks are drawn from them.
    """

    X: Tensor
    scale: Tensor
    n_train: int
    n_hidden: int
    regression: bool
    generators: list[torch.Generator]

    def uniforms(self, models: Sequence[int], shape: Sequence[int]) -> Tensor:
        """Uniform numbers ``(len(models), *shape)``, each model's from its own generator."""
        u = torch.empty(len(models), *shape)
        for row, model in zip(u, models, strict=True):
            row.uniform_(generator=self.generators[model])
        return u


class Method:
    """No regularisation; what the others derive from."""

    def __init__(self, settings: Sequence[dict], stage: Stage):
        self.settings, self.stage = settings, stage

    def column(self, name: str) -> Tensor:
        """One number of every model's settings, shape (M,)."""
        return torch.tensor([float(setting[name]) for setting in self.settings])

    def parameters(self) -> list[Tensor]:
        """What is learnt beside the weights, a row a model."""
        return []

    def on_input(self, x: Tensor, rows: Tensor, time: float) -> Tensor:  # noqa: ARG002
        """Standardised inputs ``(M, B, C, T)`` of rows ``(M, B)``, at a time in [0, 1)."""
        return x

    def on_hidden(self, h: Tensor, time: float) -> Tensor:  # noqa: ARG002
        """Hidden units ``(M, B, H)`` after the nonlinearity."""
        return h

    def penalty(self, weights: list[Tensor]) -> Tensor | float:  # noqa: ARG002
        """What is added to the sum of the models' losses; `weights` are ``(M, in, out)``."""
        return 0.0

    def before_step(self, weights: list[Tensor], learning_rate: float) -> None:
        """Change gradients or weights in place before the optimizer's step."""


def constant(p: Tensor, _time: float, _setting: Tensor) -> Tensor:
    """The rate stands still: Srivastava et al., "Dropout", JMLR 15, 2014."""
    return p


def linear_decay(p: Tensor, time: float, _setting: Tensor) -> Tensor:
    """p (1 - t): the rate falls to 0 at the end, as in Rennie et al., "Annealed Dropout", 2014."""
    return p * (1 - time)


def early(p: Tensor, time: float, until: Tensor) -> Tensor:
    """p in the first part of training, then 0: Liu et al., "Dropout Reduces Underfitting", 2023."""
    return torch.where(time < until, p, 0.0)


def curriculum(p: Tensor, time: float, gamma: Tensor) -> Tensor:
    """p (1 - exp(-γ t)), t in [0, 1): Morerio et al., "Curriculum Dropout", ICCV 2017.

    In the paper the retained share is (1 - θ) exp(-γ t) + θ with θ = 1 - p, and γ = 10 / T for t
    counted in steps up to T.
    """
    return p * (1 - torch.exp(-gamma * time))


class ScheduledDropout(Method):
    """Bernoulli dropout of inputs or hidden units, with a rate that may follow a schedule.

    x m / (1 - p(t)), m ~ Bernoulli(1 - p(t)).
    """

    def __init__(self, settings, stage, schedule=constant, option: str | None = None):
        super().__init__(settings, stage)
        self.schedule = schedule
        self.rates = self.column("p")
        self.option = self.column(option) if option else torch.zeros(len(settings))
        self.place = [setting["on"] for setting in settings]

    def on_input(self, x, rows, time):  # noqa: ARG002
        """Drop samples."""
        return self._drop(x, time, "input")

    def on_hidden(self, h, time):
        """Drop hidden units."""
        return self._drop(h, time, "hidden")

    def _drop(self, x: Tensor, time: float, place: str) -> Tensor:
        p = self.schedule(self.rates, time, self.option)
        models = [i for i, here in enumerate(self.place) if here == place and p[i] > 0]
        if not models:
            return x
        p = p[models].view(-1, *[1] * (x.dim() - 1))
        kept = self.stage.uniforms(models, x.shape[1:]) >= p
        return _multiply(x, models, kept / (1 - p))


class ConcreteDropout(Method):
    """Dropout whose rate is learnt through relaxed masks: Gal, Hron and Kendall, NeurIPS 2017.

    x (1 - z) / (1 - p), z = σ((log p - log(1 - p) + log u - log(1 - u)) / 0.1), one p a layer, and
    added to the loss, for N training rows, a layer of K inputs and weights W,

        ℓ² ‖W‖² / (2 N (1 - p)) + f K (p log p + (1 - p) log(1 - p)) / N,

    both twice for the squared error. f = 1 is the paper's; with few rows and wide inputs it holds p
    at 1/2, so that f and the length scale ℓ are tuned. p starts at 0.1.
    """

    temperature = 0.1

    def __init__(self, settings, stage):
        super().__init__(settings, stage)
        self.logits = [
            torch.full((len(settings),), math.log(0.1 / 0.9), requires_grad=True) for _ in range(2)
        ]
        input_models = [i for i, setting in enumerate(settings) if setting["on"] == "both"]
        self.models = [input_models, list(range(len(settings)))]
        self.factor, self.length = self.column("factor"), self.column("length")

    def parameters(self):
        """The logits of the rates of both layers."""
        return self.logits

    def on_input(self, x, rows, time):  # noqa: ARG002
        """Relaxed dropout of samples."""
        return self._drop(x, 0)

    def on_hidden(self, h, time):  # noqa: ARG002
        """Relaxed dropout of hidden units."""
        return self._drop(h, 1)

    def _drop(self, x: Tensor, layer: int) -> Tensor:
        models = self.models[layer]
        if not models:
            return x
        logit = self.logits[layer][models].view(-1, *[1] * (x.dim() - 1))
        u = self.stage.uniforms(models, x.shape[1:]).clamp_(1e-7, 1 - 1e-7)
        dropped = torch.sigmoid((logit + torch.logit(u)) / self.temperature)
        return _multiply(x, models, (1 - dropped) / torch.sigmoid(-logit))

    def penalty(self, weights):
        """Summed over models and layers."""
        total = torch.zeros(())
        for layer, weight in enumerate(weights):
            models, logit = self.models[layer], self.logits[layer]
            p, q = torch.sigmoid(logit), torch.sigmoid(-logit)
            ridge = self.length.square() / 2 * weight.square().sum((1, 2)) / q
            entropy = p * torch.log(p) + q * torch.log(q)
            total = total + (ridge + self.factor * weight.shape[1] * entropy)[models].sum()
        return total * (2 if self.stage.regression else 1) / self.stage.n_train


class DropBlock(Method):
    """Dropout of runs of samples: Ghiasi, Lin and Le, "DropBlock", NeurIPS 2018, in one dimension.

    Blocks of b samples begin with probability γ = p / b · T / (T - b + 1) at each of the T - b + 1
    places where they fit; what is left is multiplied by (all samples) / (samples left).
    """

    def __init__(self, settings, stage):
        super().__init__(settings, stage)
        n_times = stage.X.shape[-1]
        self.sizes = [max(1, min(int(setting["block"]), n_times // 2)) for setting in settings]
        b = torch.tensor(self.sizes)
        self.gamma = self.column("p") / b * n_times / (n_times - b + 1)

    def on_input(self, x, rows, time):  # noqa: ARG002
        """Drop runs of samples, in each channel others."""
        models, n_times = range(len(self.sizes)), x.shape[-1]
        starts = self.stage.uniforms(models, x.shape[1:]) < self.gamma.view(-1, 1, 1, 1)
        kept = torch.empty_like(x)
        for size in set(self.sizes):
            same = [i for i in models if self.sizes[i] == size]
            begun = starts[same].to(x.dtype)
            begun[..., n_times - size + 1 :] = 0
            count = begun.cumsum(-1)
            count[..., size:] -= count[..., :-size].clone()
            kept[same] = (count == 0).to(x.dtype)
        left = kept.flatten(1).sum(1).clamp_min(1)
        return x * kept * (kept[0].numel() / left).view(-1, 1, 1, 1)


class WaveletBandDropout(Method):
    """Dropout of whole detail bands: Cakaj, Mehnert and Yang, "Spectral Wavelet Dropout", 2024.

    x = a + Σ_j d_j, the approximation and the detail bands of a discrete wavelet transform (its
    three levels, or fewer where the recording is short); a is kept, each d_j of each channel is
    dropped with probability p, and what is kept of the details is multiplied by 1 / (1 - p).
    """

    def __init__(self, settings, stage):
        super().__init__(settings, stage)
        self.rates = self.column("p")
        self.wavelets = [setting["wavelet"] for setting in settings]
        self.bands = {name: detail_bands(stage.X, name) for name in set(self.wavelets)}

    def on_input(self, x, rows, time):  # noqa: ARG002
        """Drop detail bands."""
        changed = torch.empty_like(x)
        for name, bands in self.bands.items():
            models = [i for i, wavelet in enumerate(self.wavelets) if wavelet == name]
            p = self.rates[models].view(-1, 1, 1, 1)
            out = x[models]
            u = self.stage.uniforms(models, (len(bands), *x.shape[1:3], 1))
            for j, band in enumerate(bands):
                gain = (u[:, j] >= p) / (1 - p) - 1
                out = out + gain / self.stage.scale[models][:, None] * band[rows[models]]
            changed[models] = out
        return changed


class WeightDecay(Method):
    """A ridge on the weights, in the loss (``l2``) or beside it, as AdamW does (``decoupled``).

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. Biases are free.
    """

    def __init__(self, settings, stage):
        super().__init__(settings, stage)
        strength = self.column("strength").view(-1, 1, 1)
        coupled = torch.tensor([setting["kind"] == "l2" for setting in settings]).view(-1, 1, 1)
        self.l2 = torch.where(coupled, strength, 0.0)
        self.decoupled = torch.where(coupled, 0.0, strength)

    def before_step(self, weights, learning_rate):
        """Add the ridge's gradient, or shrink."""
        for weight in weights:
            weight.grad += self.l2 * weight.detach()
            weight.detach().mul_(1 - learning_rate * self.decoupled)


def detail_bands(X: Tensor, wavelet: str, level: int = 3) -> list[Tensor]:
    """Detail bands of recordings as series; X minus their sum is the approximation.

    Parameters
    ----------
    X : Tensor of shape (n, C, T)
        Recordings.
    wavelet : str
        A discrete wavelet of PyWavelets.
    level : int, default=3
        Levels, or as many as `pywt.dwt_max_level` allows, at least one.

    Returns
    -------
    list of Tensor of shape (n, C, T)
        The coarsest first.
    """
    x = X.double().numpy()
    level = max(1, min(level, pywt.dwt_max_level(x.shape[-1], wavelet)))
    with warnings.catch_warnings():
        # A filter longer than a table's row is all boundary; it inverts exactly all the same.
        warnings.filterwarnings("ignore", "Level value of 1 is too high")
        coefficients = pywt.wavedec(x, wavelet, mode="symmetric", level=level)
    bands = []
    for j in range(1, level + 1):
        alone = [c if i == j else np.zeros_like(c) for i, c in enumerate(coefficients)]
        band = pywt.waverec(alone, wavelet, mode="symmetric")[..., : x.shape[-1]]
        bands.append(torch.from_numpy(band).to(X))
    return bands


def _multiply(x: Tensor, models: list[int], factors: Tensor) -> Tensor:
    """Multiply some models' rows."""
    if len(models) == len(x):
        return x * factors
    return x * torch.ones_like(x).index_copy(0, torch.tensor(models), factors.to(x.dtype))


def grid(**values: Sequence) -> list[dict]:
    """All combinations of settings."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


@dataclass(frozen=True)
class Peer:
    """A method, how it is made for a stack, and the grid over which it is tuned."""

    make: Callable[[Sequence[dict], Stage], Method]
    grid: list[dict] = field(default_factory=lambda: [{}])


def _scheduled(schedule: Callable, option: str | None = None) -> Callable:
    return lambda settings, stage: ScheduledDropout(settings, stage, schedule, option)


PLACES = ("input", "hidden")
PEERS = {
    "none": Peer(Method),
    "dropout": Peer(_scheduled(constant), grid(p=RATES, on=PLACES)),
    "linear decay": Peer(_scheduled(linear_decay), grid(p=RATES, on=PLACES)),
    "early": Peer(
        _scheduled(early, "until"), grid(p=(0.1, 0.3, 0.5, 0.7), on=PLACES, until=(0.2, 0.5))
    ),
    "curriculum": Peer(_scheduled(curriculum, "gamma"), grid(p=RATES, on=PLACES, gamma=(10.0,))),
    "concrete": Peer(
        ConcreteDropout,
        grid(factor=(0.01, 0.1, 1.0), length=(0.1, 1.0), on=("both", "hidden")),
    ),
    "DropBlock": Peer(DropBlock, grid(p=(0.1, 0.3, 0.5), block=(3, 7, 15))),
    "wavelet bands": Peer(WaveletBandDropout, grid(p=RATES, wavelet=("haar", "db4"))),
    "weight decay": Peer(
        WeightDecay,
        grid(kind=("l2",), strength=(1e-4, 1e-3, 1e-2, 1e-1))
        + grid(kind=("decoupled",), strength=(0.1, 1.0, 10.0)),
    ),
}
