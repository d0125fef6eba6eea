"""What follows from a basis's layout, where the layout changes: a graph that is another one."""

import copy
import pickle

import pytest
import torch

from sklearn_dbt.nn.basis import DCT, Fourier, GraphFourier
from sklearn_dbt.nn.dropout import (
    Band,
    Coefficients,
    EnsembleDropout,
    FrequencyDistance,
    Indices,
    MaskingThreshold,
    Policy,
    TransformDropout,
)
from sklearn_dbt.nn.dropout._layout_reading import check_locks, locked_by, places
from sklearn_dbt.nn.trust_region import TrustRegionController

N = 8


def star(n=N):
    graph = torch.zeros(n, n)
    graph[0, 1:] = graph[1:, 0] = 1.0
    return graph


def ring(n=N):
    graph = torch.zeros(n, n)
    i = torch.arange(n)
    graph[i, (i + 1) % n] = graph[(i + 1) % n, i] = 1.0
    return graph


def signal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


OPTIONS = {
    "policy": "frequency",
    "mask_sharing": "octave",
    "locks": [(0.5, 1.6)],
    "sampling_rate": float(N),
}


def transform(graph=None, **options):
    return TransformDropout(N, GraphFourier(N, graph), **{**OPTIONS, "seed": 0, **options})


def ensemble(graph=None, **options):
    members = [transform(graph, **options), TransformDropout(N, "dct", "uniform", p=0.3)]
    return EnsembleDropout(members, mask_sharing="octave", seed=0)


def at_home(layer):
    """The layer whose basis is the graph's."""
    return layer.members[0] if isinstance(layer, EnsembleDropout) else layer


def place(layer):
    """All that follows from the layout."""
    own = at_home(layer)
    carried = [layer._map_0, layer._map_1, layer._locked] if layer is not own else []
    return [own.locked, own._fixed, layer._group, layer.rates, *carried]


def same(layer, other):
    assert layer._n_groups == other._n_groups
    for a, b in zip(place(layer), place(other), strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    x = signal(5, N)
    other.set_rng_state(layer.get_rng_state())
    assert torch.equal(layer(x), other(x))


each_layer = pytest.mark.parametrize("make", [transform, ensemble])


@each_layer
@pytest.mark.parametrize("graph", [ring(), 0.5 * ring() + star()])
def test_a_refreshed_layer_is_one_made_for_the_graph(make, graph):
    layer, fresh = make(), make(graph)
    before = [None if t is None else t.clone() for t in place(layer)]
    at_home(layer).basis.set_graph(graph)
    for a, b in zip(place(layer), before, strict=True):  # nothing moves by itself
        assert (a is None and b is None) or torch.equal(a, b)
    layer.refresh_layout()
    # Where the mean of the first rates lies follows from the layout, but parameters stay.
    fresh.set_omega(layer.get_omega())
    same(layer, fresh)
    assert not torch.equal(layer.rates, before[3])


def test_locks_hold_in_hertz():
    layer = transform()
    for graph in (ring(), 0.5 * ring() + star()):
        layer.basis.set_graph(graph)
        layer.refresh_layout()
        hertz = layer.basis.layout.frequency * N
        inside = (hertz >= 0.5) & (hertz <= 1.6)
        assert inside.any()
        assert torch.equal(layer.locked, inside)
        assert torch.equal(layer.rates == 0, inside)


@each_layer
def test_a_state_brings_its_graph_along(make):
    layer, other = make(0.5 * ring() + star()), make()
    at_home(layer).observe(signal(20, N))
    other.load_state_dict(layer.state_dict())
    same(layer, other)
    other.load_state_dict(make().state_dict())
    same(make(), other)


@each_layer
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_can_be_refreshed(make, clone):
    layer, copied = make(), clone(make())
    for one in (layer, copied):
        at_home(one).basis.set_graph(ring())
        one.refresh_layout()
    same(layer, copied)


def test_loading_leaves_what_has_not_moved_bit_by_bit():
    layer = TransformDropout(N, "fourier", "frequency", mask_sharing="octave").double()
    layer.set_omega(layer.omega)  # rates in double precision
    before, fixed = layer.rates, layer._fixed.clone()
    layer.load_state_dict(layer.state_dict())
    assert torch.equal(layer.rates, before)
    assert torch.equal(layer._fixed, fixed)


@each_layer
def test_a_lock_that_has_nothing_to_hold_raises_and_changes_nothing(make):
    layer = make()
    before = [None if t is None else t.clone() for t in place(layer)]
    at_home(layer).basis.set_graph(torch.zeros(N, N))  # all frequencies are 0
    with pytest.raises(ValueError, match=r"locks\[0\]: no coefficient lies in the band 0.5 to 1.6"):
        layer.refresh_layout()
    for a, b in zip(place(layer), before, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


def test_forward_does_not_read_the_layout_anew():
    layer, x = transform(), signal(4, N)
    layer.basis.set_graph(ring())
    before = [t.clone() for t in place(layer)]
    layer(x)
    layer.observe(x)
    for a, b in zip(place(layer), before, strict=True):
        assert torch.equal(a, b)


def test_a_controller_goes_on_within_its_radius():
    layer, x = transform(locks=[]), signal(16, N)
    controller = TrustRegionController([layer], update_every=1, warmup_steps=0)
    for i in range(6):
        if i == 3:
            layer.basis.set_graph(ring())
            layer.refresh_layout()
        loss = lambda: (layer(x) - x).square().mean()  # noqa: E731
        loss()
        before = layer.rates.double()
        controller.step(loss)
        moved = float((layer.rates.double() - before).norm())
        assert moved <= controller.history["radius"][-1] + 1e-6
        assert moved == pytest.approx(controller.history["step_norm"][-1], abs=1e-6)
    assert max(controller.history["step_norm"][3:]) > 0.005


# Graphs that are learnt: their frequencies move with each step of an optimizer


def learnt():
    return GraphFourier(N, ring(), learnable=True)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"policy": "frequency"}, "FrequencyDistance"),
        ({"policy": Policy([Band(0, 1)])}, "Band"),
        ({"locks": [(0, 1)]}, r"locks\[0\]"),
        ({"policy": Policy([MaskingThreshold("sample")])}, "MaskingThreshold"),
    ],
)
def test_what_reads_frequencies_refuses_a_graph_that_is_learnt(options, where):
    with pytest.raises(ValueError, match=f"{where}: the coefficients of this basis have no freq"):
        TransformDropout(N, learnt(), sampling_rate=8.0, **options)


def test_what_follows_from_the_order_takes_a_graph_that_is_learnt():
    layer = TransformDropout(N, learnt(), "index", mask_sharing="octave", locks=[Indices([0])])
    assert layer._group is None  # as with principal components, each on its own
    before = layer.rates
    with torch.no_grad():
        layer.basis.log_gain.add_(signal(N, N).double())
    layer.refresh_layout()
    assert torch.equal(layer.rates, before)
    assert (before == 0).nonzero().flatten().tolist() == [0]


# The parts


def test_parts():
    known = Coefficients(Fourier(8), 8.0)
    locks = check_locks("Layer", [(0, 1), Indices([4])])
    assert locked_by(locks, known).tolist() == [True, True, False, False, True]
    assert not locked_by((), known).any()
    assert places((), known).shape == (0, 5)
    distance = FrequencyDistance()
    assert torch.equal(places([distance, Band(0, 1)], known)[0], distance(known))
    with pytest.raises(ValueError, match=r"locks\[0\]"):
        locked_by(check_locks("Layer", [(9, 10)]), known)
    with pytest.raises(ValueError, match="sampling_rate"):
        locked_by(locks, Coefficients(DCT(8)))


@pytest.mark.parametrize("wrong", [5, None, Band(0, 1)])
def test_locks_that_are_no_sequence_raise(wrong):
    with pytest.raises(TypeError, match=r"Layer: locks must be a sequence of bands .* got "):
        check_locks("Layer", wrong)
