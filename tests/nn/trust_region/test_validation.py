"""The unrolled held-out objective against formulas, finite differences and textbook cases."""

import copy

import pytest
import torch
from torch import nn

from sklearn_dbt.nn.dropout import TransformDropout
from sklearn_dbt.nn.trust_region import OBJECTIVES, TrustRegionController
from sklearn_dbt.nn.trust_region._group import RateGroup
from sklearn_dbt.nn.trust_region._objective import Losses
from sklearn_dbt.nn.trust_region._validation import evaluating, step_scales

OFTEN = {"update_every": 1, "warmup_steps": 0}
OPTIMIZERS = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9),
    "adam": lambda ps: torch.optim.Adam(ps, lr=0.05),
    "amsgrad": lambda ps: torch.optim.Adam(ps, lr=0.05, amsgrad=True),
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=0.05),
    "rmsprop": lambda ps: torch.optim.RMSprop(ps, lr=0.05, centered=True),
}


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Linear(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(randn(n, seed=9))

    def forward(self, x):
        return x @ self.weight


def objective(controller, train, validation):
    group = RateGroup(controller.layers, [torch.zeros(1)] * len(controller.layers))
    return OBJECTIVES["validation"](
        controller,
        group,
        [layer.snapshot() for layer in controller.layers],
        Losses(train, validation),
        [[] for _ in controller.layers],
    )


def trained(module, optimizer, loss, n=3):
    for _ in range(n):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_value_and_gradient_on_a_linear_model_are_the_formula(plain_layer, kind):
    # The mean over masks of a linear model's squared error is a ridge: everything is explicit.
    n, lookahead = 4, 2.5
    layer, model = plain_layer([0.2, 0.5, 0.1, 0.7]), Linear(n)
    x, y, s = randn(12, n), randn(12, seed=1), torch.tensor([0.5, 1.0, 2.0, 0.1]).double()
    xv, yv = randn(7, n, seed=2), randn(7, seed=3)

    def train():
        p = layer.current
        return (y - model(x)).square().mean() + (p / (1 - p) * s * model.weight.square()).sum()

    optimizer = OPTIMIZERS[kind](model.parameters())
    trained(model, optimizer, train)
    controller = TrustRegionController(
        [layer], objective="validation", module=model, optimizer=optimizer, lookahead=lookahead
    )
    J = objective(controller, train, lambda: (yv - model(xv)).square().mean())
    omega = layer.get_omega().requires_grad_()
    value, loss = J(omega)
    (gradient,) = torch.autograd.grad(value, omega)

    p, w, state = layer.omega, model.weight.detach(), optimizer.state[model.weight]
    slope = 2 * x.T @ (x @ w - y) / 12 + 2 * p / (1 - p) * s * w
    moment = {
        "sgd": lambda: torch.ones(n).double(),
        "adam": lambda: (state["exp_avg_sq"] / (1 - 0.999**3)).sqrt() + 1e-8,
        "amsgrad": lambda: (state["max_exp_avg_sq"] / (1 - 0.999**3)).sqrt() + 1e-8,
        "adamw": lambda: (state["exp_avg_sq"] / (1 - 0.999**3)).sqrt() + 1e-8,
        "rmsprop": lambda: (state["square_avg"] - state["grad_avg"] ** 2).sqrt() + 1e-8,
    }[kind]()
    scale = 0.05 * lookahead / moment
    ahead = w - scale * slope
    pull = 2 * xv.T @ (xv @ ahead - yv) / 7
    torch.testing.assert_close(value, (yv - xv @ ahead).square().mean())
    torch.testing.assert_close(loss, train().detach())
    torch.testing.assert_close(gradient, -pull * scale * 2 * s * w / (1 - p) ** 2)


class Net(nn.Module):
    def __init__(self, policy="energy"):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = TransformDropout(8, "dct", policy, p=0.4, seed=0)
            self.second = TransformDropout(6, "fourier", "uniform", p=0.3, seed=1)
            self.hidden, self.head = nn.Linear(8, 6, bias=False), nn.Linear(6, 1)
            self.norm = nn.BatchNorm1d(6)
        self.double()

    @property
    def dropouts(self):
        return [self.first, self.second]

    def forward(self, x):
        return self.head(self.second(torch.tanh(self.norm(self.hidden(self.first(x))))))


def task(module, n=16, seed=0):
    x, y = randn(n, 8, seed=seed), randn(n, 1, seed=seed + 1)
    return lambda: (module(x) - y).square().mean()


def ready(kind="adam", **kwargs):
    """A trained network, its controller and its two losses."""
    net = Net()
    optimizer = OPTIMIZERS[kind](net.parameters())
    train, validation = task(net), task(net, seed=5)
    trained(net, optimizer, train)
    for layer in net.dropouts:
        layer.observe(randn(16, layer.n_features))
    controller = TrustRegionController(
        net.dropouts,
        objective="validation",
        module=net,
        optimizer=optimizer,
        **{"lookahead": 5.0, **OFTEN, **kwargs},
    )
    return net, controller, train, validation


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_gradient_through_masks_is_that_of_finite_differences(penalty):
    net, controller, train, validation = ready(penalty=penalty)
    J = objective(controller, train, validation)
    # Parameters are stored in float32, and the masks computed from them: read them in float64.
    J._group.split = lambda omega: omega.split(J._group._sizes)
    omega = torch.cat([layer.get_omega() for layer in net.dropouts]).double().requires_grad_()
    (gradient,) = torch.autograd.grad(J(omega)[0], omega)
    h = 1e-5
    with torch.no_grad():
        for i, unit in enumerate(torch.eye(len(omega)).double()):
            up, down = J(omega + h * unit)[0], J(omega - h * unit)[0]
            assert float(gradient[i]) == pytest.approx(float(up - down) / (2 * h), rel=1e-5)


def test_a_second_derivative_is_refused_and_not_taken_for_zero():
    net, controller, train, validation = ready(penalty=0.3)
    J = objective(controller, train, validation)
    omega = torch.cat([layer.get_omega() for layer in net.dropouts]).double().requires_grad_()
    (gradient,) = torch.autograd.grad(J(omega)[0], omega, create_graph=True)
    with pytest.raises(RuntimeError, match="second derivative of the validation objective"):
        torch.autograd.grad(gradient.sum(), omega)


def everything(net, optimizer):
    tensors = {f"weight {k}": v for k, v in net.state_dict().items()}
    tensors |= {f"grad {k}": p.grad for k, p in net.named_parameters()}
    for i, state in enumerate(optimizer.state.values()):
        tensors |= {f"state {i} {k}": torch.as_tensor(v) for k, v in state.items() if v is not None}
    return {
        k: v.clone()
        for k, v in tensors.items()
        if not any(name in k for name in ("omega", "statistics", "_log_energy", "_variance"))
    }


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_gradients_and_optimizer_stay_bitwise(kind):
    net, controller, train, validation = ready(kind)
    net.norm.eval()  # modes of single modules come back too
    before = everything(net, controller.optimizer)
    identities = [(p, p.grad) for p in net.parameters()]
    modes = [m.training for m in net.modules()]
    global_state = torch.get_rng_state()
    for _ in range(3):
        train()
        controller.step(train, validation)
    assert controller.n_updates == 3
    assert controller.history["step_norm"][0] > 0
    after = everything(net, controller.optimizer)
    assert set(after) == set(before)
    assert all(torch.equal(after[k], v) for k, v in before.items())
    for (p, grad), q in zip(identities, net.parameters(), strict=True):
        assert q is p
        assert q.grad is grad
        assert q.requires_grad
    assert [m.training for m in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), global_state)


def test_evaluations_agree_although_batch_norm_moves_in_each():
    net, controller, train, validation = ready()
    J = objective(controller, train, validation)
    omega = torch.cat([layer.get_omega() for layer in net.dropouts]).double()
    first = J(omega)[0]
    statistics = net.norm.running_mean.clone()
    assert torch.equal(J(omega)[0], first)
    assert torch.equal(net.norm.running_mean, statistics)


def test_the_held_out_loss_sees_no_masks_and_the_training_loss_does():
    net, controller, train, validation = ready()
    seen = []

    def spy(closure):
        def call():
            seen.append([layer.training for layer in net.dropouts] + [net.norm.training])
            return closure()

        return call

    train()
    controller.step(spy(train), spy(validation))
    assert seen[0] == [True] * 3
    assert seen[1] == [False] * 3
    assert all(layer.training for layer in net.dropouts)


def overfitting(noise, *, seed=0):
    """A linear model that has interpolated few rows; held-out rows follow the same law."""
    g = torch.Generator().manual_seed(seed)
    truth = torch.randn(12, generator=g)
    x, xv = torch.randn(14, 12, generator=g), torch.randn(400, 12, generator=g)
    y = x @ truth + noise * torch.randn(14, generator=g)
    layer = TransformDropout(12, "dct", "uniform", p=0.2, p_max=0.9, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(layer, nn.Linear(12, 1, bias=False))
    net[1].weight.data = torch.linalg.lstsq(x, y[:, None]).solution.T.clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
    controller = TrustRegionController(
        [layer],
        objective="validation",
        module=net,
        optimizer=optimizer,
        # Draws of masks of so few rows differ much.
        radius=0.01,
        radius_max=0.01,
        **OFTEN,
    )
    rows = x.repeat(30, 1), y.repeat(30)
    train = lambda: (net(rows[0])[:, 0] - rows[1]).square().mean()  # noqa: E731
    validation = lambda: (net(xv)[:, 0] - xv @ truth).square().mean()  # noqa: E731
    for _ in range(8):
        net(rows[0])
        controller.step(train, validation)
    return controller.history["mean_rate"]


def test_rates_rise_where_the_weights_have_fitted_noise():
    rates = overfitting(noise=3.0)
    assert rates[-1] > rates[0] > 0.2


def test_rates_fall_where_the_weights_are_too_small():
    # Dropout shrinks weights; held-out targets that are twice the training ones want them larger.
    layer = TransformDropout(6, "dct", "uniform", p=0.5, seed=0)
    x = torch.randn(256, 6, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(layer, nn.Linear(6, 1, bias=False))
    net[1].weight.data = torch.ones(1, 6)
    target = x.sum(1, keepdim=True)
    controller = TrustRegionController(
        [layer],
        objective="validation",
        module=net,
        optimizer=torch.optim.SGD(net.parameters(), lr=1e-2),
        **OFTEN,
    )
    for _ in range(6):
        net(x)
        controller.step(
            lambda: (net(x) - target).square().mean(), lambda: (net(x) - 2 * target).square().mean()
        )
    rates = controller.history["mean_rate"]
    assert rates[-1] < 0.35
    assert all(b < a for a, b in zip([0.5, *rates], rates, strict=False))


def test_ratio_tends_to_one_for_short_steps():
    def worst(radius):
        _net, controller, train, validation = ready(
            radius=radius, radius_min=1e-9, radius_max=radius
        )
        for _ in range(3):
            train()
            controller.step(train, validation)
        return max(abs(rho - 1) for rho in controller.history["rho"])

    errors = [worst(radius) for radius in (1e-3, 1e-4)]
    assert errors[1] < 0.05
    assert errors[1] < 0.5 * errors[0]


class NoSecond(torch.autograd.Function):
    """A square whose backward has no derivative, as in fused kernels."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, grad):
        return Slope.apply(ctx.saved_tensors[0], grad)


class Slope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, grad):  # noqa: ARG004
        return 2 * x * grad

    @staticmethod
    def backward(ctx, grad):
        raise NotImplementedError("derivative for slope is not implemented")


def test_without_second_derivatives_the_gradient_is_a_difference(plain_layer):
    gradients = []
    for square in (torch.square, NoSecond.apply):
        layer, model = plain_layer([0.2, 0.5, 0.1]), Linear(3)
        x, y, xv, yv = randn(9, 3), randn(9, seed=1), randn(9, 3, seed=2), randn(9, seed=3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        controller = TrustRegionController(
            [layer], objective="validation", module=model, optimizer=optimizer
        )
        J = objective(
            controller,
            lambda x=x, y=y, m=model, la=layer, f=square: f(m(x * la.current) - y).square().mean(),
            lambda x=xv, y=yv, m=model: (m(x) - y).square().mean(),
        )
        omega = layer.get_omega().requires_grad_()
        gradients.append(torch.autograd.grad(J(omega)[0], omega)[0])
    assert gradients[0].abs().min() > 1e-3
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-8)


def test_a_recurrent_network_looks_ahead():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lstm, layer = nn.LSTM(3, 5, batch_first=True), TransformDropout(8, seed=0)
    net = nn.ModuleList([lstm, layer])
    x, xv = randn(16, 3, 8).float(), randn(16, 3, 8, seed=1).float()
    out = lambda x: lstm(layer(x).transpose(1, 2))[0][:, -1].square().mean()  # noqa: E731
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    controller = TrustRegionController(
        [layer], objective="validation", module=net, optimizer=optimizer, lookahead=10, **OFTEN
    )
    for _ in range(3):
        trained(net, optimizer, lambda: out(x), 1)
        controller.step(lambda: out(x), lambda: out(xv))
    assert controller.history["step_norm"][0] > 0
    assert controller.history["rho"] == pytest.approx([1, 1, 1], abs=0.3)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"module": None}, "needs module"),
        ({"optimizer": None}, "needs optimizer"),
        ({"validation": None}, "needs validation_loss"),
        ({"module": None, "validation": None}, "needs module, validation_loss"),
    ],
)
def test_what_is_missing_is_named_before_anything_changes(wrong, match):
    _net, controller, train, validation = ready()
    validation = wrong.pop("validation", validation)
    for name, value in wrong.items():
        setattr(controller, name, value)
    train()
    with pytest.raises(ValueError, match=match):
        controller.step(train, validation)
    assert controller.n_steps == 0


def test_an_optimizer_of_another_kind_raises():
    net, controller, train, validation = ready()
    controller.optimizer = torch.optim.Rprop(net.parameters())
    with pytest.raises(TypeError, match="SGD, Adam, AdamW, RMSprop, got Rprop"):
        controller.step(train, validation)


def test_an_optimizer_that_has_not_moved_the_module_raises():
    net, controller, train, validation = ready()
    controller.optimizer = torch.optim.Adam(net.parameters())
    train()
    before = [layer.rates for layer in net.dropouts]
    with pytest.raises(ValueError, match="has not yet moved any parameter of module"):
        controller.step(train, validation)
    for layer, rates in zip(net.dropouts, before, strict=True):
        assert torch.equal(layer.rates, rates)


def test_a_loss_of_another_module_raises():
    net, controller, train, validation = ready()
    other = copy.deepcopy(net)
    train()
    with pytest.raises(ValueError, match="does not depend on the parameters of module"):
        controller.step(task(other), validation)


def test_a_validation_loss_that_is_not_a_scalar_raises():
    net, controller, train, _ = ready()
    train()
    with pytest.raises(TypeError, match=r"validation_loss\(\) must return .* shape \(16, 1\)"):
        controller.step(train, lambda: net(randn(16, 8)))


@pytest.mark.parametrize("bad", ["train", "validation"])
def test_losses_that_are_not_finite_are_rejected(bad):
    net, controller, train, validation = ready(max_retries=0)
    rates = [layer.rates for layer in net.dropouts]
    losses = {"train": train, "validation": validation}
    losses[bad] = lambda good=losses[bad]: good() * torch.nan
    train()
    controller.step(*losses.values())
    assert controller.history["accepted"] == [False]
    for layer, before in zip(net.dropouts, rates, strict=True):
        assert torch.equal(layer.rates, before)


def test_parameters_without_state_or_gradient_are_left_where_they_are():
    model = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1), "c": nn.Linear(2, 1)})
    model["c"].requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    trained(model, optimizer, lambda: model["a"](torch.ones(3, 2)).sum(), 1)
    assert set(step_scales(optimizer, 1.0)) == set(model["a"].parameters())
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, maximize=True)
    scales = step_scales(sgd, 2.0)
    assert set(scales) == {*model["a"].parameters(), *model["b"].parameters()}
    assert {round(float(s), 6) for s in scales.values()} == {-0.2}


def test_modes_come_back_when_the_loss_raises():
    net = Net()
    net.norm.eval()

    def interrupted():
        with evaluating(net):
            assert not any(m.training for m in net.modules())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert net.training
    assert not net.norm.training
