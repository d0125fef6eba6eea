"""The import rules of the house, read from the source, and what an import may cost.

Every rule is a function of a module's dotted name and its source text that returns what it found
wrong, so each rule is also shown to fire on an offending source (``OFFENDERS``) before it is
trusted with the real ones.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sklearn_dbt"
TESTS = ROOT / "tests"

#: What the engine may stand on, beside the standard library and itself.
#: (llvmlite is what numba itself stands on: its intrinsics are written in it.)
ENGINE_GROUND = {"numpy", "scipy", "torch", "pywt", "numba", "llvmlite", "tensorly"}
#: Which rooms of the engine a room may look into. Rooms not named here know nobody.
ENGINE_DOORS = {"dropout": {"basis"}}
#: Only ``inspection`` shows what other families keep in their ``_display.py``.
GALLERY = "inspection"
#: Private files tested elsewhere than in their mirror, and why.
TESTED_ELSEWHERE: dict[str, str] = {}

Rule = Callable[[str, str], list[str]]


# --- reading -------------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    """The dotted name under which a file of the package is imported."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_sources() -> dict[str, str]:
    return {module_name(p): p.read_text(encoding="utf-8") for p in sorted(PACKAGE.rglob("*.py"))}


def is_package(module: str) -> bool:
    return (ROOT / Path(*module.split("."))).is_dir()


def imports(module: str, source: str) -> Iterator[str]:
    """Everything `source` imports, wherever it stands, as absolute dotted names.

    ``from a import b`` counts as ``a.b``: whether b is a module or a name in it, the rules read
    the same.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                here = module.split(".")
                up = node.level - is_package(module)
                base = here[: len(here) - up]
                origin = ".".join([*base, node.module] if node.module else base)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def family(module: str) -> str:
    """The folder (or private file) directly below the package that a dotted name belongs to."""
    parts = module.split(".")
    return parts[1] if parts[0] == "sklearn_dbt" and len(parts) > 1 else ""


def is_private(name: str) -> bool:
    """Whether any part of a dotted name starts with one underscore."""
    return any(p.startswith("_") and not p.startswith("__") for p in name.split("."))


def on_middle_floor(module: str) -> bool:
    """The middle floor is the private files directly below the package (_base.py, ...)."""
    return family(module).startswith("_")


# --- rules ---------------------------------------------------------------------------------------


def engine_stands_on_the_ground(module: str, source: str) -> list[str]:
    """nn/ imports the numerical ground and itself: no scikit-learn, no skorch, no face."""
    if family(module) != "nn":
        return []
    allowed = ENGINE_GROUND | set(sys.stdlib_module_names)
    return [
        f"{module} imports {name}"
        for name in imports(module, source)
        if name.split(".")[0] not in allowed and not name.startswith("sklearn_dbt.nn.")
    ]


def rooms_keep_their_doors_shut(module: str, source: str) -> list[str]:
    """basis, trust_region, alignment and encoders know nobody in nn/; dropout knows basis only."""
    if family(module) != "nn" or module == "sklearn_dbt.nn":
        return []
    room = module.split(".")[2]
    open_doors = ENGINE_DOORS.get(room, set()) | {room}
    return [
        f"{module} imports {name}"
        for name in imports(module, source)
        if name.startswith("sklearn_dbt.nn.") and name.split(".")[2] not in open_doors
    ]


def middle_floor_knows_no_face(module: str, source: str) -> list[str]:
    """The middle floor serves the faces and imports none; _compat imports nothing of ours."""
    if not on_middle_floor(module):
        return []
    return [
        f"{module} imports {name}"
        for name in imports(module, source)
        if name.split(".")[0] == "sklearn_dbt"
        and (family(module) == "_compat" or not (on_middle_floor(name) or family(name) == "nn"))
    ]


def families_meet_in_public(module: str, source: str) -> list[str]:
    """A face imports the middle floor, its own files and public names of nn/ and other faces."""
    own = family(module)
    if own == "nn" or on_middle_floor(module):
        return []
    found = []
    for name in imports(module, source):
        other = family(name)
        if not other or other == own or on_middle_floor(name) or not is_private(name):
            continue
        if own == GALLERY and name.split(".")[2] == "_display":
            continue
        found.append(f"{module} imports {name}")
    return found


def private_scikit_learn_in_one_place(module: str, source: str) -> list[str]:
    """What scikit-learn keeps private is imported in _compat.py and nowhere else."""
    if module == "sklearn_dbt._compat":
        return []
    return [
        f"{module} imports {name}"
        for name in imports(module, source)
        if name.split(".")[0] == "sklearn" and is_private(name)
    ]


def listing_order(name: str) -> tuple[int, str]:
    """The order ruff keeps in ``__all__``: CAPITALS, then Classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def front_door_is_plain(module: str, source: str) -> list[str]:
    """An __init__ holds a docstring, imports and a sorted __all__ of just those names."""
    if not is_package(module):
        return []
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else [f"{module} has no docstring"]
    names: list[str] = []
    listed: list[str] | None = None
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = ast.literal_eval(node.value)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            names.append("__version__")
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            found.append(f"{module} does more than import: {ast.unparse(node).splitlines()[0]}")
    if listed is None:
        return [*found, f"{module} has no __all__"]
    if listed != sorted(listed, key=listing_order):
        found.append(f"{module}.__all__ is not sorted")
    if set(listed) - {"__version__"} != {n for n in names if not n.startswith("_")}:
        odd = sorted(set(listed) ^ set(names))
        found.append(f"{module}.__all__ and its imports differ: {odd}")
    return found


RULES: list[Rule] = [
    engine_stands_on_the_ground,
    rooms_keep_their_doors_shut,
    middle_floor_knows_no_face,
    families_meet_in_public,
    private_scikit_learn_in_one_place,
    front_door_is_plain,
]

OFFENDERS: list[tuple[Rule, str, str]] = [
    (engine_stands_on_the_ground, "sklearn_dbt.nn.basis._dct", "from sklearn.base import clone"),
    (engine_stands_on_the_ground, "sklearn_dbt.nn.dropout._layer", "import skorch"),
    (engine_stands_on_the_ground, "sklearn_dbt.nn.basis._dct", "from sklearn_dbt import pairs"),
    (engine_stands_on_the_ground, "sklearn_dbt.nn.basis._dct", "from ... import _base"),
    (engine_stands_on_the_ground, "sklearn_dbt.nn.encoders._tcl", "def f():\n    import tslearn"),
    (
        rooms_keep_their_doors_shut,
        "sklearn_dbt.nn.basis._dct",
        "from sklearn_dbt.nn.dropout import x",
    ),
    (rooms_keep_their_doors_shut, "sklearn_dbt.nn.basis._dct", "from .. import alignment"),
    (
        rooms_keep_their_doors_shut,
        "sklearn_dbt.nn.trust_region._model",
        "from sklearn_dbt.nn import basis",
    ),
    (
        rooms_keep_their_doors_shut,
        "sklearn_dbt.nn.dropout._layer",
        "from ..trust_region import Controller",
    ),
    (rooms_keep_their_doors_shut, "sklearn_dbt.nn.dropout", "from ..encoders import x"),
    (middle_floor_knows_no_face, "sklearn_dbt._base", "from sklearn_dbt.pairs import make_pairs"),
    (middle_floor_knows_no_face, "sklearn_dbt._training", "from .neural_network import x"),
    (middle_floor_knows_no_face, "sklearn_dbt._compat", "from ._base import x"),
    (
        families_meet_in_public,
        "sklearn_dbt.pairs._make_pairs",
        "from ..preprocessing._scaler import x",
    ),
    (
        families_meet_in_public,
        "sklearn_dbt.pairs._make_pairs",
        "from sklearn_dbt.nn.alignment import _soft_dtw",
    ),
    (families_meet_in_public, "sklearn_dbt.inspection", "from ..neural_network._mlp import x"),
    (
        private_scikit_learn_in_one_place,
        "sklearn_dbt._base",
        "from sklearn.utils._tags import Tags",
    ),
    (private_scikit_learn_in_one_place, "sklearn_dbt.nn", "import sklearn.utils._param_validation"),
    (
        private_scikit_learn_in_one_place,
        "sklearn_dbt.pairs._x",
        "from sklearn.base import _fit_context",
    ),
    (front_door_is_plain, "sklearn_dbt.nn", "from .basis import DCT\n__all__ = ['DCT']"),
    (front_door_is_plain, "sklearn_dbt.nn", "'''Doc.'''\nfrom .basis import DCT"),
    (
        front_door_is_plain,
        "sklearn_dbt.nn",
        "'''Doc.'''\nfrom .basis import A, B\n__all__ = ['B', 'A']",
    ),
    (front_door_is_plain, "sklearn_dbt.nn", "'''Doc.'''\nfrom .basis import A, B\n__all__ = ['A']"),
    (
        front_door_is_plain,
        "sklearn_dbt.nn",
        "'''Doc.'''\nfrom .basis import A\n__all__ = ['A', 'B']",
    ),
    (front_door_is_plain, "sklearn_dbt.nn", "'''Doc.'''\n__all__ = []\ndef f(): ..."),
]

ALLOWED: list[tuple[str, str]] = [
    (
        "sklearn_dbt.nn.basis._dct",
        "import math\nimport numpy as np\nfrom torch import nn\nfrom ._base import Basis",
    ),
    (
        "sklearn_dbt.nn.dropout._layer",
        "from ..basis import make_basis\nfrom sklearn_dbt.nn.basis import DCT",
    ),
    (
        "sklearn_dbt._training",
        "from sklearn_dbt._base import x\nfrom .nn import DCT\nimport skorch",
    ),
    ("sklearn_dbt._compat", "from sklearn.utils._param_validation import Interval"),
    (
        "sklearn_dbt.pairs._x",
        "from .._base import y\nfrom ..nn import soft_dtw\nfrom ._make_pairs import z",
    ),
    (
        "sklearn_dbt.pairs._x",
        "from ..preprocessing import ChannelScaler\nfrom sklearn.base import clone",
    ),
    (
        "sklearn_dbt.inspection",
        "'''Doc.'''\nfrom ..neural_network._display import D\n__all__ = ['D']",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize(
    ("module", "source"), package_sources().items(), ids=package_sources().keys()
)
def test_the_package_keeps_the_rule(rule: Rule, module: str, source: str):
    assert rule(module, source) == [], rule.__doc__


@pytest.mark.parametrize(("rule", "module", "source"), OFFENDERS)
def test_the_rule_fires(rule: Rule, module: str, source: str):
    assert rule(module, source) != []


@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_no_rule_fires_on_what_is_allowed(module: str, source: str):
    assert [found for rule in RULES for found in rule(module, source)] == []


def test_every_rule_has_an_offender():
    assert {rule for rule, _, _ in OFFENDERS} == set(RULES)


# --- cycles --------------------------------------------------------------------------------------


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """A path that comes back to where it began, or an empty list (depth-first search)."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            if cycle := visit(following, [*path, node]):
                return cycle
        done.add(node)
        return []

    return next((cycle for node in sorted(graph) if (cycle := visit(node, []))), [])


def family_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        if own := family(module):
            targets = {family(name) for name in imports(module, source)} - {own, ""}
            graph.setdefault(own, set()).update(targets)
    return graph


def test_no_two_families_import_each_other():
    assert find_cycle(family_graph(package_sources())) == []


def test_a_cycle_between_families_is_found():
    sources = {
        "sklearn_dbt.pairs._x": "from ..preprocessing import ChannelScaler",
        "sklearn_dbt.preprocessing._y": "def f():\n    from sklearn_dbt.pairs import make_pairs",
    }
    assert sorted(find_cycle(family_graph(sources))) == ["pairs", "preprocessing"]


# --- the mirror ----------------------------------------------------------------------------------


def untested(private_files: set[str], test_files: set[str]) -> list[str]:
    """Private files ``a/_x.py`` of the package that have no ``a/test_x.py`` among the tests."""
    wanted = {
        file: file.replace("/_", "/test_") if "/" in file else f"test{file}"
        for file in private_files
    }
    return sorted(
        f for f, test in wanted.items() if test not in test_files and f not in TESTED_ELSEWHERE
    )


def test_every_private_file_has_its_test_file():
    private = {p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("_*.py")}
    private = {p for p in private if not p.endswith("__init__.py")}
    tests = {p.relative_to(TESTS).as_posix() for p in TESTS.rglob("test_*.py")}
    assert untested(private, tests) == []
    assert set(TESTED_ELSEWHERE) <= private


def test_a_missing_test_file_is_found():
    assert untested({"_base.py", "nn/basis/_dct.py"}, {"test_base.py"}) == ["nn/basis/_dct.py"]
    assert untested({"_base.py", "nn/basis/_dct.py"}, {"nn/basis/test_dct.py"}) == ["_base.py"]


# --- the cost of an import -----------------------------------------------------------------------

OFFENCES = {
    "torch.manual_seed(0)": "torch generator",
    "numpy.random.seed(0)": "numpy generator",
    "random.seed(0)": "random",
    "torch.set_grad_enabled(False)": "grad mode",
    "torch.set_default_dtype(torch.float64)": "default dtype",
    "torch.set_num_threads(torch.get_num_threads() + 1)": "threads",
    "warnings.simplefilter('ignore')": "warnings",
    "numpy.seterr(all='raise')": "numpy errors",
    "logging.basicConfig()": "log handlers",
}

# What third parties do to the process when they are first imported is theirs: they come first.
PROBE = f"""
import json, logging, random, sys, warnings
import numpy, torch, scipy.signal, scipy.fft, pywt, sklearn.base, sklearn.utils, skorch, safetensors

def state():
    return {{
        "torch generator": torch.get_rng_state().tolist(),
        "numpy generator": str(numpy.random.get_state()),
        "random": random.getstate(),
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "grad mode": torch.is_grad_enabled(),
        "default dtype": str(torch.get_default_dtype()),
        "warnings": str(warnings.filters),
        "numpy errors": numpy.geterr(),
        "log handlers": str(logging.getLogger().handlers),
    }}

def changed_by(statement):
    old = state()
    exec(statement, globals())
    new = state()
    return [what for what in old if old[what] != new[what]]

changed = changed_by("import sklearn_dbt, sklearn_dbt.nn")
loaded = sorted(sys.modules)
seen = {{offence: changed_by(offence) for offence in {list(OFFENCES)!r}}}
print(json.dumps({{"changed": changed, "loaded": loaded, "seen": seen}}))
"""


@pytest.fixture(scope="module")
def fresh_process():
    """One process that imports the package, then commits the offences, and tells what it saw."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("heavy", ["tslearn", "numba", "tensorly", "matplotlib", "aeon", "mne"])
def test_import_loads_nothing_heavy(fresh_process, heavy):
    assert "sklearn_dbt" in fresh_process["loaded"]
    assert heavy not in fresh_process["loaded"]


def test_import_leaves_global_state_alone(fresh_process):
    assert fresh_process["changed"] == []


@pytest.mark.parametrize("offence", OFFENCES)
def test_the_probe_sees_a_change(fresh_process, offence):
    assert fresh_process["seen"][offence] == [OFFENCES[offence]]
