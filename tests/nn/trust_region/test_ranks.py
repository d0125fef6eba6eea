"""Several processes that train together; each test reads what two gloo processes have left."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.dropout import TransformDropout
from sklearn_dbt.nn.trust_region import TrustRegionController
from sklearn_dbt.nn.trust_region._ranks import Ranks

#: What each process does, and the whole on the joined batches. Masks of a huge temperature do not
#: depend on the uniforms, so that both see the same objective.
COMMON = textwrap.dedent(
    """
    import itertools, sys
    import torch
    from torch import nn
    from sklearn_dbt.nn.dropout import TransformDropout
    from sklearn_dbt.nn.trust_region import DecayController, TrustRegionController

    N = 12

    def data(rows):
        x = torch.randn(64, 2, N, generator=torch.Generator().manual_seed(0))
        x = x * torch.linspace(1, 3, 64)[:, None, None]  # ranks differ
        return x[rows].double(), (x[rows, 0].sum(-1, keepdim=True) > 0).double()

    def network(basis, policy, deep=True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            options = {"p": 0.4, "seed": 1}
            return nn.Sequential(
                TransformDropout(N, basis, policy, **options),
                nn.Flatten(),
                nn.Linear(2 * N, N),
                nn.Tanh(),
                # What comes here has met masks, which ranks and whole draw differently.
                TransformDropout(N, basis, policy, **options) if deep else nn.Identity(),
                nn.Linear(N, 1),
            ).double()

    def dropouts(net):
        return [m for m in net.modules() if isinstance(m, TransformDropout)]

    def controlled(kind, net, **options):
        if kind is DecayController:
            return kind(dropouts(net), update_every=2, warmup_steps=2)
        return kind(dropouts(net), update_every=2, warmup_steps=2, **options)

    def train(net, forward, controller, batches, log):
        \"\"\"Fixed weights: the rates alone are compared.\"\"\"
        for rows in batches:
            x, y = data(rows)
            def loss(model=forward):
                return nn.functional.binary_cross_entropy_with_logits(model(x), y)
            if len(x):
                for p in net.parameters():
                    p.grad = None
                loss().backward()
            controller.step(lambda: loss(net) if forward is None else loss())
            log.append(torch.cat([layer.rates for layer in dropouts(net)]))

    RUNS = {
        f"{basis}-{policy}-{curvature}-{step}": (basis, policy, curvature, step)
        for basis, policy, curvature, step in [
            ("fourier", "energy", "diagonal", "cauchy"),
            ("pca", "energy", "lbfgs", "steihaug"),
            ("dct", "sample_energy", "exact", "dogleg"),
        ]
    }
    EVEN = [(range(0, 16), range(16, 32)), (range(32, 48), range(48, 64))] * 3
    UNEVEN = [(range(0, 16), range(16, 32)), (range(32, 51), range(51, 54))] * 3
    """
)

WORKER = COMMON + textwrap.dedent(
    """
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    rank, where = int(sys.argv[1]), sys.argv[2]
    meet = f"file://{where}/meet"
    distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    out = {}
    for name, (basis, policy, curvature, step) in RUNS.items():
        for batches, kind in (("even", EVEN), ("uneven", UNEVEN)):
            net = network(basis, policy, deep=False)
            options = {"curvature": curvature, "step": step, "temperature": 1e9, "penalty": 0.05}
            controller = controlled(TrustRegionController, net, **options)
            log = []
            train(net, net, controller, [list(pair[rank]) for pair in kind], log)
            out[name, batches] = (log, controller.history)

    # DistributedDataParallel broadcasts the buffers of rank 0 before each pass.
    for policy in ("energy", "sample_energy"):
        net = network("fourier", policy)
        ddp = DistributedDataParallel(net)
        controller = controlled(TrustRegionController, net, module=net)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        log = []
        for pair in EVEN:
            x, y = data(list(pair[rank]))
            loss = lambda: nn.functional.binary_cross_entropy_with_logits(ddp(x), y)
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
            controller.step(loss)
            log.append(torch.cat([layer.rates for layer in dropouts(net)]))
        weights = torch.cat([p.detach().flatten() for p in net.parameters()])
        out["ddp", policy] = (log, controller.history, weights)

    # The second rank never has a sample, and once nobody has.
    for basis, policy in (("fourier", "energy"), ("dct", "sample_energy"), ("dct", "free")):
        kinds = (TrustRegionController, DecayController)
        for kind in kinds if policy == "energy" else kinds[:1]:
            net = network(basis, policy)
            controller = controlled(kind, net)
            log = []
            batches = [list(range(16)), list(range(16, 32)), [], list(range(32, 48))] * 2
            train(net, net, controller, [rows if rank == 0 else [] for rows in batches], log)
            out["empty", policy, kind.__name__] = (log, controller.history)
    torch.save(out, f"{where}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
    """
)

ALONE = COMMON + textwrap.dedent(
    """
    out = {}
    for name, (basis, policy, curvature, step) in RUNS.items():
        for batches, kind in (("even", EVEN), ("uneven", UNEVEN)):
            net = network(basis, policy, deep=False)
            options = {"curvature": curvature, "step": step, "temperature": 1e9, "penalty": 0.05}
            controller = controlled(TrustRegionController, net, **options)
            log = []
            train(net, net, controller, [list(a) + list(b) for a, b in kind], log)
            out[name, batches] = (log, controller.history)
    torch.save(out, sys.argv[1])
    """
)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What both ranks have left, and what one process on the joined batches has."""
    where = tmp_path_factory.mktemp("ranks")
    (where / "worker.py").write_text(WORKER)
    (where / "alone.py").write_text(ALONE)
    commands = [[where / "worker.py", str(rank), str(where)] for rank in range(2)]
    commands.append([where / "alone.py", str(where / "alone.pt")])
    running = [
        subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return [torch.load(where / f"{name}.pt", weights_only=False) for name in (0, 1, "alone")]


def test_every_rank_has_the_same_rates_bit_by_bit(left):
    first, second, _ = left
    assert first.keys() == second.keys()
    for key in first:
        for a, b in zip(first[key][0], second[key][0], strict=True):
            assert torch.equal(a, b), key
        np.testing.assert_equal(first[key][1], second[key][1])


def test_rates_are_those_of_one_process_on_the_joined_batches(left):
    first, _, alone = left
    assert len(alone) == 6
    for key, (log, history) in alone.items():
        torch.testing.assert_close(first[key][0], log, rtol=0, atol=1e-5)
        assert first[key][1]["accepted"] == history["accepted"]
        assert any(history["accepted"])
        for column in ("radius", "step_norm", "rho", "loss", "objective", "mean_rate"):
            assert first[key][1][column] == pytest.approx(history[column], rel=1e-3, abs=1e-5)
        assert not torch.equal(log[0], log[-1])


def test_distributed_data_parallel_broadcasts_what_is_equal_anyway(left):
    first, second, _ = left
    for policy in ("energy", "sample_energy"):
        log, history, weights = first["ddp", policy]
        assert torch.equal(weights, second["ddp", policy][2])
        assert len(history["step"]) == 2
        assert any(history["accepted"])
        assert not torch.equal(log[0], log[-1])
        assert all(
            d <= r + 1e-9 for d, r in zip(history["step_norm"], history["radius"], strict=True)
        )


def test_a_rank_without_samples_goes_along(left):
    first, _, _ = left
    for key in first:
        if key[0] == "empty":
            log, history = first[key][:2]
            assert history["step"] == [4, 6, 8]
            assert not torch.equal(log[2], log[-1])


def test_one_process_alone_sends_nothing():
    ranks = Ranks()
    assert not ranks.several
    tensors = [torch.ones(2), torch.tensor(3.0)]
    assert all(a is b for a, b in zip(ranks.mean(tensors, 0.5), tensors, strict=True))
    assert all(a is b for a, b in zip(ranks.sum(tensors), tensors, strict=True))


def test_a_connection_is_not_saved():
    layer = TransformDropout(4)
    controller = TrustRegionController([layer], process_group=lambda: None)
    assert pickle.loads(pickle.dumps(controller)).ranks.process_group is None
