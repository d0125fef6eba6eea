"""Saving and loading a fitted estimator as JSON and safetensors, without pickle.

``path/config.json`` holds the class, its parameters and its fitted attributes,
``path/tensors.safetensors`` every array and every weight. Nothing in them can run code: loading
builds plain values, arrays and dataclasses of this package.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = 1
# Callbacks belong to a session, not to a model.
TRANSIENT = {
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
}


class PersistenceMixin:
    """``save`` and ``load``: a fitted estimator as JSON and safetensors.

    An estimator that holds networks lists their attributes in ``_network_attributes`` and says how
    to take their tensors out (``_network_tensors``) and how to build them anew
    (``_restore_networks``).
    """

    get_params: Callable[..., dict[str, Any]]  # scikit-learn's, of the class this is mixed into
    _network_attributes: tuple[str, ...] = ()

    def save(self, path) -> None:
        """Write the estimator, fitted or not, to a folder; no pickle is involved.

        Parameters
        ----------
        path : str or path-like
            Folder to write; a model saved there before is replaced at once, when all is written.

        Raises
        ------
        TypeError
            If a parameter or attribute cannot be said in JSON (a function, a module, a random
            generator). Nothing is written then.
        """
        tensors: dict[str, np.ndarray] = {}
        params = self.get_params(deep=False)
        skipped = TRANSIENT | set(params) | set(self._network_attributes)
        fitted = {key: value for key, value in vars(self).items() if key not in skipped}
        name = type(self).__name__
        config = {
            "schema": SCHEMA,
            "class": f"{type(self).__module__}.{name}",
            "params": {k: encode(v, f"{name}.{k}", tensors) for k, v in params.items()},
            "fitted": {k: encode(v, f"{name}.{k}", tensors) for k, v in fitted.items()},
            "networks": any(hasattr(self, key) for key in self._network_attributes),
        }
        if config["networks"]:
            tensors |= {f"network/{k}": v for k, v in self._network_tensors().items()}
        _write(Path(path), config, tensors)

    @classmethod
    def load(cls, path):
        """Read an estimator that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            The folder.

        Returns
        -------
        estimator
            An estimator of this class, ready to predict or transform.

        Raises
        ------
        ValueError
            If the folder holds another class or another version of the schema.
        """
        from safetensors.numpy import load_file

        path = Path(path)
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        if config.get("schema") != SCHEMA:
            raise ValueError(
                f"{path}: schema version {config.get('schema')!r}; this version reads {SCHEMA}."
            )
        if config["class"].rpartition(".")[2] != cls.__name__:
            raise ValueError(f"{path} holds a {config['class']}, not a {cls.__name__}.")
        tensors = load_file(path / "tensors.safetensors")
        estimator = cls(**{k: decode(v, tensors) for k, v in config["params"].items()})
        for key, value in config["fitted"].items():
            setattr(estimator, key, decode(value, tensors))
        if config["networks"]:
            prefix = "network/"
            estimator._restore_networks(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
        return estimator

    def _network_tensors(self) -> dict[str, np.ndarray]:
        raise NotImplementedError(f"{type(self).__name__} lists networks; say how to save them.")

    def _restore_networks(self, tensors: dict[str, np.ndarray]) -> None:
        raise NotImplementedError(f"{type(self).__name__} lists networks; say how to build them.")


def encode(value, where: str, tensors: dict[str, np.ndarray]):
    """Say `value` in JSON; arrays go into `tensors` under their place.

    Parameters
    ----------
    value : object
        None, bool, number, str, list, tuple, dict, array, or a dataclass of this package.
    where : str
        Place of the value, for errors and names of tensors.
    tensors : dict
        Collects the arrays.

    Returns
    -------
    object
        What :func:`json.dumps` can write.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(value, np.generic):
        return {"scalar": str(value.dtype), "value": encode(value.item(), where, tensors)}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, list):
        return [encode(v, f"{where}[{i}]", tensors) for i, v in enumerate(value)]
    if isinstance(value, tuple):
        return {"tuple": encode(list(value), where, tensors)}
    if isinstance(value, dict):
        pairs = [
            [encode(k, where, tensors), encode(v, f"{where}[{k!r}]", tensors)]
            for k, v in value.items()
        ]
        return {"dict": pairs}
    if isinstance(value, np.ndarray):
        return _encode_array(value, where, tensors)
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("sklearn_dbt."):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        path = f"{type(value).__module__}:{type(value).__name__}"
        return {"dataclass": path, "fields": encode(fields, where, tensors)}
    raise TypeError(
        f"{where} is a {type(value).__name__} and cannot be saved without pickle; allowed are "
        "None, bool, numbers, str, lists, tuples, dicts, arrays and this package's own dataclasses."
    )


def _encode_array(value: np.ndarray, where: str, tensors: dict[str, np.ndarray]) -> dict:
    if value.dtype.kind in "biuf":
        key = f"array/{where}"
        tensors[key] = np.ascontiguousarray(value)
        # safetensors knows no big-endian and no long double; neither comes out of `fit`.
        return {"array": key, "shape": list(value.shape)}
    if value.dtype.kind not in "OU":
        raise TypeError(f"{where} is an array of {value.dtype} and cannot be saved without pickle.")
    items = encode(value.ravel().tolist(), where, tensors)
    return {"objects": items, "dtype": value.dtype.str, "shape": list(value.shape)}


def decode(value, tensors: dict[str, np.ndarray]):
    """Build the value that :func:`encode` said.

    Parameters
    ----------
    value : object
        Parsed JSON.
    tensors : dict
        The arrays.

    Returns
    -------
    object
    """
    if isinstance(value, list):
        return [decode(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if "scalar" in value:
        return np.dtype(value["scalar"]).type(decode(value["value"], tensors))
    if "float" in value:
        return float(value["float"])
    if "tuple" in value:
        return tuple(decode(value["tuple"], tensors))
    if "array" in value:
        return tensors[value["array"]].reshape(value["shape"])
    if "objects" in value:
        array = np.empty(len(value["objects"]), dtype=value["dtype"])
        array[:] = decode(value["objects"], tensors)
        return array.reshape(value["shape"])
    if "dataclass" in value:
        return _own_dataclass(value["dataclass"])(**decode(value["fields"], tensors))
    return {decode(k, tensors): decode(v, tensors) for k, v in value["dict"]}


def _own_dataclass(path: str) -> type:
    module, _, name = path.partition(":")
    if not module.startswith("sklearn_dbt."):
        raise ValueError(
            f"{path} is not part of sklearn_dbt; the file is not one that `save` wrote."
        )
    found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise ValueError(f"{path} is no dataclass; the file is not one that `save` wrote.")
    return found


def _write(path: Path, config: dict, tensors: dict[str, np.ndarray]) -> None:
    """Write both files beside `path` and move them there in one step."""
    from safetensors.numpy import save_file

    text = json.dumps(config, indent=1, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not (path / "config.json").exists():
        raise FileExistsError(f"{path} exists and is no saved estimator; choose another path.")
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        (staging / "config.json").write_text(text, encoding="utf-8")
        save_file(tensors, staging / "tensors.safetensors")
        if path.exists():
            shutil.rmtree(path)
        os.replace(staging, path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
