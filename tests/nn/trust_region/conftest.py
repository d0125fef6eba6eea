"""What several tests need: random models and boxes, and a rate layer without masks.

The layer's objective is an explicit function of the rates.
"""

import math
from contextlib import contextmanager

import pytest
import torch

from sklearn_dbt.nn.trust_region import QuadraticModel

DOUBLE = torch.float64


class PlainLayer:
    """Rates are the parameters themselves, or their sigmoid; `current` is what a loss reads."""

    def __init__(self, omega, *, sigmoid=False, weights=None, bounds=(0.0, 1.0)):
        self.omega = torch.as_tensor(omega, dtype=torch.float64).clone()
        self.sigmoid = sigmoid
        self.weights = torch.zeros_like(self.omega) if weights is None else weights
        self.bounds = bounds
        self.relaxed_omega = None
        self.captured = torch.zeros(1)
        self.shift, self.proposal = torch.zeros(()), torch.zeros(())
        self.n_adopted = 0
        self.recorded = None

    @property
    def current(self):
        omega = self.omega if self.relaxed_omega is None else self.relaxed_omega
        rates = self.rates_at(omega, None, self.shift)
        if self.recorded is not None:
            self.recorded.append(rates)
        return rates

    def get_omega(self):
        return self.omega.clone()

    def set_omega(self, omega):
        self.omega.copy_(omega)

    def omega_bounds(self):
        low, high = (-50.0, 50.0) if self.sigmoid else self.bounds
        return torch.full_like(self.omega, low), torch.full_like(self.omega, high)

    def bias_direction(self):
        return torch.ones_like(self.omega)

    def rate_bounds(self):
        return self.bounds

    def rates_at(self, omega, probe, snapshot, *, smooth=False):
        return (torch.sigmoid(omega) if self.sigmoid else omega) + snapshot

    def penalty_weights(self, probe, snapshot):
        return self.weights

    def capture(self, enabled):
        self.capturing = enabled

    def take_captured(self):
        return self.captured

    def observe(self, x):
        self.observed = x
        return bool(torch.isfinite(x).all())

    def make_probe(self, x):
        return x

    def snapshot(self):
        return self.shift

    def candidate_snapshot(self):
        return self.proposal

    def blend_snapshots(self, old, new, fraction):
        return old + fraction * (new - old)

    def adopt_snapshot(self, snapshot):
        self.shift = snapshot
        self.n_adopted += 1

    @contextmanager
    def relaxed(self, omega, uniforms, temperature):
        self.relaxed_omega = omega
        yield
        self.relaxed_omega = None

    @contextmanager
    def recording(self):
        self.recorded = []
        yield self.recorded
        self.recorded = None

    def get_rng_state(self):
        return torch.zeros(1, dtype=torch.uint8)

    def set_rng_state(self, state):
        self.rng_state = state


@pytest.fixture(scope="session")
def plain_layer():
    """The class of layers whose rates are explicit functions of their parameters."""
    return PlainLayer


def _spd(n, generator, condition=20.0):
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=DOUBLE))
    return q * torch.logspace(0, math.log10(condition), n, dtype=DOUBLE) @ q.T


def _random_model(n, g, shift=0.0):
    h = _spd(n, g) - shift * torch.eye(n, dtype=DOUBLE)
    return QuadraticModel(0.0, torch.randn(n, generator=g, dtype=DOUBLE), h, _spd(n, g))


def _random_box(n, g):
    lower = -torch.rand(n, generator=g, dtype=DOUBLE)
    lower[torch.rand(n, generator=g) < 0.3] = 0
    upper = torch.rand(n, generator=g, dtype=DOUBLE)
    upper[torch.rand(n, generator=g) < 0.3] = 0
    return lower, upper


@pytest.fixture(scope="session")
def spd():
    """Makes symmetric positive definite matrices: of a size, generator and condition."""
    return _spd


@pytest.fixture(scope="session")
def random_model():
    """Makes quadratic models: of a size, generator and shift of the eigenvalues downwards."""
    return _random_model


@pytest.fixture(scope="session")
def random_box():
    """Makes boxes around 0, some of whose sides touch it: of a size and generator."""
    return _random_box
