"""How a pair classifier reads its data, builds its network and trains it."""

from __future__ import annotations

import copy
import functools
from contextlib import nullcontext

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from skorch import NeuralNet
from torch import Tensor, nn

from sklearn_dbt._base import check_panel
from sklearn_dbt._compat import check_sample_weight, validate_data, with_callbacks
from sklearn_dbt._training import (
    Batches,
    NeuralEstimator,
    Progress,
    class_weights_of_rows,
    draw_seeds,
    held_out_split,
    isolated_rng,
    keeps_old_fit,
    make_net,
    resolve_device,
)
from sklearn_dbt.pairs._front import Front, fit_front
from sklearn_dbt.pairs._held_out_pairs import held_out_pairs
from sklearn_dbt.pairs._inference import distances, embed_all, margin
from sklearn_dbt.pairs._pair_batches import AnchorBatches, PairDataset, pairs_of_anchors
from sklearn_dbt.pairs._pair_data import Pairs, padded, read_pairs
from sklearn_dbt.pairs._pair_loss import PairLoss
from sklearn_dbt.pairs._pair_network import Embedded, PairNetwork, encoded_channels
from sklearn_dbt.pairs._platt import fit_line, soft_targets


class BasePairClassifier(ClassifierMixin, NeuralEstimator):
    """Everything of the classifier but its parameters and what it answers."""

    _front: Front
    _learns_distance: bool
    _share: float
    _seen: np.ndarray

    @with_callbacks
    @keeps_old_fit
    def _fit_all(self, X, y, sample_weight, groups):
        pairs, same, weights = self._read(X, y, sample_weight, resume=False)
        seeds = draw_seeds(self.random_state, 3)
        train, held_out = self._hold_out(same, np.flatnonzero(weights), groups, seeds[1])
        data, held_out = self._start(pairs, same, weights, train, held_out, seeds)
        # The negatives become harder as training goes on, and the training loss with them.
        judges = self.mining is None or self.early_stopping
        progress = Progress(self.tol, self.n_iter_no_change) if judges else None
        return self._run(data, held_out, X, y, progress=progress)

    @with_callbacks
    @keeps_old_fit
    def _fit_one_epoch(self, X, y, classes, sample_weight):
        resume = hasattr(self, "net_")
        classes = self._check_classes(classes, resume)
        pairs, same, weights = self._read(X, y, sample_weight, resume=resume, classes=classes)
        kept = np.flatnonzero(weights)
        if resume:
            self._check_anchors(pairs.ids[kept], same[kept])
            everything = PairDataset(self._prepare(pairs), same, weights, self.device_)
            data = everything.part(kept, None)
            if not self._learns_distance:
                data.distance = distances(self.net_.module_, data)
        else:
            seeds = draw_seeds(self.random_state, 3)
            data, _ = self._start(pairs, same, weights, kept, kept[:0], seeds)
        return self._run(data, None, X, y, max_iter=1, resume=resume)

    def _run(self, data, held_out, X, y, *, max_iter=None, progress=None, resume=False):
        """Train, then solve for the line where its distances are those of all pairs seen."""
        self._start_curves(resume=resume)
        # A copy of a net, which unpickling makes, is to look at its own network.
        self.net_.iterator_train = self._batches(self.net_.module_)
        # Dropout in an encoder draws from torch's global generator.
        has_module = self.net_.module_.encoder is not None
        seed = (self._seeds[2] + self.n_iter_) % 2**31
        try:
            with isolated_rng(seed) if has_module else nullcontext():
                self._train(data, held_out, X=X, y=y, max_iter=max_iter, progress=progress)
        except KeyboardInterrupt:
            self._finish(data, resume, whole=max_iter is None)
            raise
        self._finish(data, resume, whole=max_iter is None)
        return self

    def _finish(self, data, resume, *, whole: bool) -> None:
        if not self._learns_distance:
            self._remember_seen(data, resume)
        elif whole:
            self._fit_line(distances(self.net_.module_, data), data)

    def _learns(self) -> tuple[bool, bool]:
        """Return whether gamma and whether channel weights are learned."""
        auto = self.loss != "logistic" and not isinstance(self.encoder, nn.Module)
        learn_channels = auto if isinstance(self.learn_channels, str) else self.learn_channels
        return bool(self.learn_gamma), bool(learn_channels)

    def _check_options(self) -> None:
        name, learns = type(self).__name__, any(self._learns())
        learns = learns or isinstance(self.encoder, nn.Module)
        if self.loss == "contrastive" and not learns:
            raise ValueError(
                f"{name}: loss='contrastive' acts on the distance alone, and nothing of it is "
                "learned; set learn_channels=True or learn_gamma=True, or give a module as encoder."
            )
        if self.loss != "logistic" and not self.divergence:
            raise ValueError(
                f"{name}: loss={self.loss!r} needs divergence=True: the plain soft-DTW value can "
                "be negative and has no margin."
            )
        if self.mining is not None and not learns:
            raise ValueError(
                f"{name}: mining={self.mining!r} chooses pairs for the distance to learn from, and "
                "nothing of it is learned; set learn_channels=True or learn_gamma=True, or give a "
                "module as encoder."
            )

    def _check_classes(self, classes, resume: bool) -> np.ndarray:
        """Return the labels that `partial_fit` may meet."""
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' cannot be known in partial_fit, before all pairs are; "
                "give a dict."
            )
        if classes is None and not resume:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        classes = self.classes_ if classes is None else np.unique(classes)
        if resume and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes={classes} differ from those of the first call, {self.classes_}."
            )
        return classes

    def _read(self, X, y, sample_weight, *, resume: bool, classes=None):
        """Check everything; return pairs, 0/1 labels and weights."""
        self._check_options()
        y = validate_data(self, y=y, reset=False)
        pairs = read_pairs(self, X, reset=not resume, preprocessor=self.preprocessor)
        check_consistent_length(pairs, y)
        same, weights = self._check_labels(y, sample_weight, pairs, classes, resume)
        return pairs, same, weights

    def _check_labels(self, y, sample_weight, pairs: Pairs, classes, resume: bool):
        """Return 0/1 labels and the weights of the pairs; remember the classes."""
        name = type(self).__name__
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        labels = np.unique(y) if classes is None else classes
        if kind != "binary" or len(labels) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{kind if kind != 'binary' else 'multiclass'}. {name}: a pair is either the same "
                "or different."
            )
        unknown = np.setdiff1d(y, labels)
        if len(unknown):
            raise ValueError(f"{name}: y holds {unknown.tolist()}, and classes are {labels}.")
        same = np.searchsorted(labels, y)
        weights = check_sample_weight(
            sample_weight, pairs.ids, dtype=np.float64, ensure_non_negative=True
        )
        of_classes = class_weights_of_rows(self.class_weight, labels, same)
        if (of_classes < 0).any():
            raise ValueError(f"{name}: class_weight={self.class_weight} has a negative weight.")
        weights = weights * of_classes
        present = np.unique(same[weights > 0])
        if len(present) == 0:
            raise ValueError(f"{name}: all weights of pairs are zero.")
        if len(present) < 2 and not resume:
            raise ValueError(
                f"{name} needs pairs of 2 classes, same and different; the data contains only one "
                f"class: {labels[present[0]].tolist()!r}."
            )
        self.classes_ = labels
        return same, weights

    def _hold_out(self, same, kept, groups, seed) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on and those to hold out."""
        if not self.early_stopping:
            return kept, kept[:0]
        if groups is not None:
            name = type(self).__name__
            return held_out_pairs(same, kept, groups, self.validation_fraction, seed, name)
        train, held_out = held_out_split(len(kept), self.validation_fraction, seed, y=same[kept])
        return kept[train], kept[held_out]

    def _start(self, pairs: Pairs, same, weights, train, held_out, seeds):
        """Build what `fit` begins with; return training and held-out data."""
        name = type(self).__name__
        self.device_, self._seeds = str(resolve_device(self.device)), seeds
        self._n_channels_in, self._dtype = pairs.series.shape[1], pairs.series.dtype.name
        self._share = float(np.average(same[train], weights=weights[train]))
        self._soft_targets = soft_targets(same[train], weights[train])
        transformer = None if isinstance(self.encoder, nn.Module) else self.encoder
        part = Pairs(pairs.series, pairs.lengths, pairs.ids[train])
        self._front = fit_front(transformer, self.n_components, self.downsampling, part, name)
        self._check_anchors(part.ids, same[train])
        pairs = self._prepare(pairs)
        self._remember_network(pairs, len(train))
        self.net_ = self._build_net()
        return self._set_start(pairs, same, weights, train, held_out)

    def _check_anchors(self, ids: np.ndarray, same: np.ndarray) -> None:
        if self.mining is not None and not pairs_of_anchors(ids, same):
            raise ValueError(
                f"{type(self).__name__}: mining={self.mining!r} needs recordings that are in pairs "
                "of both kinds, and there is none; give pairs that share recordings, or "
                "mining=None."
            )

    def _prepare(self, pairs: Pairs) -> Pairs:
        """Return the pairs as the network takes them."""
        front: Front = self._front
        pairs = front(pairs, type(self).__name__)
        return Pairs(pairs.series.astype(self._dtype, copy=False), pairs.lengths, pairs.ids)

    def _remember_network(self, pairs: Pairs, n_train: int) -> None:
        """Keep what the network is built from, so that a saved estimator can build it anew."""
        learn_gamma, learn_channels = self._learns()
        module = self.encoder if isinstance(self.encoder, nn.Module) else None
        self._learns_distance = learn_gamma or learn_channels or module is not None
        # Known distances cost nothing: one step takes all of them and has no noise.
        self._batch_size = int(self.batch_size) if self._learns_distance else n_train
        n_channels = pairs.series.shape[1]
        if module is not None:
            shortest = pairs.recordings[pairs.lengths.argmin()]
            n_channels = encoded_channels(module, shortest, type(self).__name__)
        self._network_options = {
            "n_channels": n_channels,
            "gamma": self.gamma,
            "band": self.band,
            "divergence": self.divergence,
            "learn_gamma": learn_gamma,
            "learn_channels": learn_channels,
            "detach": self.loss == "contrastive",
        }

    def _build_net(self) -> NeuralNet:
        module = copy.deepcopy(self.encoder) if isinstance(self.encoder, nn.Module) else None
        network = PairNetwork(**self._network_options, encoder=module)
        factors = {"logistic": 0.0, "contrastive": 1.0, "combined": self.contrastive_weight}
        loss = PairLoss(
            factors[self.loss],
            self._share if self.mining is None else None,
            self.margin,
            self.negative_weight,
            self._soft_targets,
        )
        device = torch.device(self.device_)
        return make_net(
            network.to(device=device, dtype=getattr(torch, self._dtype)),
            loss,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self._batch_size,
            seed=self._seeds[0],
            device=device,
            batches=self._batches(network),
            param_groups=[("encoder.*", {"lr": self.encoder_learning_rate})] if module else [],
        )

    def _batches(self, network: PairNetwork):
        if self.mining is None:
            return Batches
        return functools.partial(
            AnchorBatches,
            distances=functools.partial(distances, network),
            margin=functools.partial(margin, network, self.margin),
            mining=self.mining,
            n_positives=self.positives_per_anchor,
            n_negatives=self.negatives_per_positive,
        )

    def _set_start(self, pairs: Pairs, same, weights, train, held_out):
        """Set the numbers of the network that come from the data, not from training."""
        network = self.net_.module_
        everything = PairDataset(pairs, same, weights, self.device_)
        data = everything.part(train, None)
        share = data.weights / data.weights.sum()
        lengths = embed_all(network, everything.series, everything.lengths).lengths
        network.total_length.fill_(torch.sum(share * lengths[data.ids].sum(1)))
        distance = distances(network, everything)
        if not torch.isfinite(distance).all():
            raise ValueError(
                f"{type(self).__name__}: distances are not finite; the series are too large, up to "
                f"{everything.series.abs().max().item():.3g}. Scale the recordings."
            )
        mean = torch.sum(share * distance[train])
        network.mean_distance.fill_(mean if mean > 0 else 1.0)
        self._fit_line(distance[train], data)
        if self._learns_distance:
            return data, everything.part(held_out, None) if len(held_out) else None
        data.distance = distance[train]
        return data, everything.part(held_out, distance) if len(held_out) else None

    def _embed_recordings(self, X) -> Embedded:
        """Check recordings and return them as they are compared."""
        panel = check_panel(type(self)(), X, reset=True, ragged=True, min_times=2)
        if panel.n_channels != self._n_channels_in:
            raise ValueError(
                f"X has {panel.n_channels} channels, but {type(self).__name__} was fitted with "
                f"{self._n_channels_in}."
            )
        pairs = self._prepare(Pairs(*padded(panel.data), np.empty((0, 2), np.int64)))
        series = torch.tensor(pairs.series, device=self.device_)
        return embed_all(
            self.net_.module_, series, torch.tensor(pairs.lengths, device=self.device_)
        )

    def _remember_seen(self, data: PairDataset, resume: bool) -> None:
        """Keep the distances of all pairs seen and put the line where it is best for them."""
        columns = [distances(self.net_.module_, data), data.same, data.weights]
        now = torch.stack(columns).double().cpu().numpy()
        self._seen = np.concatenate([self._seen, now], axis=1) if resume else now
        self.net_.module_.set_line(*fit_line(*self._seen))

    def _fit_line(self, distance: Tensor, data: PairDataset) -> None:
        """Put w and the threshold where they are best for these distances."""
        columns = (distance, data.same, data.weights)
        self.net_.module_.set_line(*fit_line(*(column.cpu().numpy() for column in columns)))
