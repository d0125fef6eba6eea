"""Docstrings: valid numpydoc, the same parameters and defaults as the signature, examples that run.

The checks are functions of an object, so that each is shown to fire on an offending one.
"""

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate

import sklearn_dbt

ROOT = Path(__file__).resolve().parents[1]

#: What of numpydoc's list must hold. Left out: the extended summary and "See Also" (ES01, SA0x:
#: not every function needs them), one-line docstrings closed on their line (GL01, GL02), the
#: grammatical mood (SS05), the style of a type (PR06), and that a description starts with a capital
#: (PR08, RT04: it may start with a symbol) or ends with a period (PR09, RT05: or with an equation),
#: and that a result is described beyond its type (RT03: ``self``).
NUMPYDOC = {
    *("GL03", "GL05", "GL06", "GL07", "GL08", "GL09", "GL10"),
    *("SS01", "SS02", "SS03", "SS04", "SS06"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR10"),
}
#: Beside the above for what is public by itself, not for methods and properties.
NUMPYDOC_PUBLIC = {"EX01"}


# --- what is public ------------------------------------------------------------------------------


def public_packages() -> list[str]:
    """The package and every folder in it whose dotted name has no private part."""
    found = pkgutil.walk_packages(sklearn_dbt.__path__, "sklearn_dbt.")
    return ["sklearn_dbt", *(m.name for m in found if m.ispkg and "._" not in m.name)]


def is_room(name: str) -> bool:
    """Whether a dotted name lies in a room of the engine and not at its front door."""
    return re.match(r"sklearn_dbt\.nn\.[a-z_]+(\.|$)", name) is not None


def public_objects() -> dict[str, object]:
    """Every class and function that some ``__all__`` lists, once.

    Its name is that of the family, or of ``sklearn_dbt.nn``, or of a room of the engine; displays
    are where one looks for them, in ``sklearn_dbt.inspection``.
    """
    by_identity: dict[int, tuple[str, object]] = {}
    doors = [
        "sklearn_dbt.inspection",
        *sorted(public_packages(), key=lambda p: (is_room(p), -len(p))),
    ]
    for package in doors:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                by_identity.setdefault(id(thing), (f"{package}.{name}", thing))
    return dict(sorted(by_identity.values(), key=lambda named: named[0]))


def own_methods(cls: type) -> dict[str, object]:
    """Public methods and properties that the class itself defines."""
    kinds = (staticmethod, classmethod, property)
    return {
        name: thing
        for name, thing in vars(cls).items()
        if not name.startswith("_") and (inspect.isfunction(thing) or isinstance(thing, kinds))
    }


def is_not_constructed(thing: object) -> bool:
    """Abstract classes, protocols, named tuples: nobody calls them, so there is nothing to run."""
    is_protocol = getattr(thing, "_is_protocol", False)
    return is_protocol or inspect.isabstract(thing) or hasattr(thing, "_fields")


def is_override(cls: type, method: str) -> bool:
    """Whether the class takes a method over from another class, whose contract it keeps."""
    return any(method in vars(base) for base in cls.__mro__[1:])


PUBLIC = public_objects()
# What takes over another method's contract, and the engine's inner parts, may be told in a line.
METHODS = {
    f"{name}.{method}": (thing, method)
    for name, thing in PUBLIC.items()
    if inspect.isclass(thing) and not is_room(name) and not getattr(thing, "_is_protocol", False)
    for method in own_methods(thing)
    if not is_override(thing, method) or "Parameters\n" in (getattr(thing, method).__doc__ or "")
}
CALLABLES = {n: t for n, t in PUBLIC.items() if not is_not_constructed(t)} | {
    name: getattr(cls, method)
    for name, (cls, method) in METHODS.items()
    if not isinstance(vars(cls)[method], property)
}
ENGINE = {name: thing for name, thing in CALLABLES.items() if name.startswith("sklearn_dbt.nn.")}


# --- checks --------------------------------------------------------------------------------------


def signature_of(thing: Callable) -> dict[str, inspect.Parameter]:
    """Parameters by name, without self, and with the stars that numpydoc writes before them."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    given = inspect.signature(thing).parameters
    return {stars.get(p.kind, "") + name: p for name, p in given.items() if name != "self"}


def documented_parameters(thing: Callable) -> dict[str, str]:
    """Type text of each parameter; ``a, b : int, default=1, 2`` is two parameters."""
    doc = ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)
    written = {}
    for parameter in doc["Parameters"]:
        names = [name.strip() for name in parameter.name.split(",")]
        kind, _, default = parameter.type.partition("default=")
        defaults = [part.strip() for part in default.split(",")]
        if len(names) > 1 and len(names) == len(defaults):
            written |= {n: f"{kind}default={d}" for n, d in zip(names, defaults, strict=True)}
        else:
            written |= dict.fromkeys(names, parameter.type)
    return written


def parameter_errors(thing: Callable) -> list[str]:
    """Signature and docstring name the same parameters in the same order."""
    written, actual = list(documented_parameters(thing)), list(signature_of(thing))
    return [] if written == actual else [f"signature {actual}, docstring {written}"]


def default_errors(thing: Callable) -> list[str]:
    """A documented default is the signature's, and every default is documented."""
    found = []
    written = documented_parameters(thing)
    for name, parameter in signature_of(thing).items():
        text = written.get(name, "")
        match = re.search(r"default\s*[=:]?\s*(.+)$", text)
        if parameter.default is inspect.Parameter.empty:
            if match:
                found.append(f"{name} has no default but the docstring says {match[1]}")
        elif text.lower() in ("none", "ignored") and parameter.default is None:
            continue  # scikit-learn's y of a transformer
        elif not match:
            found.append(f"{name} = {parameter.default!r} has no `default=` in {text!r}")
        elif not same_value(match[1].strip(), parameter.default):
            found.append(f"{name} = {parameter.default!r} but the docstring says {match[1]}")
    return found


def same_value(text: str, value: object) -> bool:
    """Whether a docstring's text spells the value, as a literal or as its repr."""
    text = text.strip("`")
    try:
        written = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text in (repr(value), str(value), f"np.{value}", getattr(value, "__name__", None))
    return type(written) is type(value) and written == value


def annotation_errors(thing: Callable) -> list[str]:
    """Every parameter carries an annotation, and so does the result unless it is a class."""
    signature = inspect.signature(thing)
    found = [
        f"{name} has no annotation"
        for name, parameter in signature.parameters.items()
        if parameter.annotation is inspect.Parameter.empty and name != "self"
    ]
    if not inspect.isclass(thing) and signature.return_annotation is inspect.Signature.empty:
        found.append("the result has no annotation")
    return found


def numpydoc_errors(name: str, codes: set[str]) -> list[str]:
    """What numpydoc finds wrong, of the given codes."""
    return [f"{code}: {text}" for code, text in validate(name)["errors"] if code in codes]


def doctest_errors(examples: list[doctest.DocTest]) -> str:
    """Report of the examples that fail; empty when all pass."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    report = io.StringIO()
    for test in examples:
        with contextlib.redirect_stdout(io.StringIO()):
            runner.run(test, out=report.write)
    return report.getvalue()


# --- the package ---------------------------------------------------------------------------------


def test_there_is_something_to_check():
    assert {"sklearn_dbt", "sklearn_dbt.nn", "sklearn_dbt.nn.basis"} <= set(public_packages())
    assert PUBLIC
    assert ENGINE


@pytest.mark.parametrize("name", PUBLIC)
def test_public_object_is_valid_numpydoc(name: str):
    codes = NUMPYDOC | NUMPYDOC_PUBLIC
    if is_not_constructed(PUBLIC[name]):
        codes -= {"PR01", "EX01"}
    assert numpydoc_errors(name, codes) == []


def test_the_api_page_lists_every_public_object():
    page = (ROOT / "doc" / "api.rst").read_text(encoding="utf-8").split()
    assert [name for name in PUBLIC if name not in page] == []


@pytest.mark.parametrize("name", METHODS)
def test_public_method_is_valid_numpydoc(name: str):
    assert numpydoc_errors(name, NUMPYDOC) == []


@pytest.mark.parametrize("name", CALLABLES)
def test_parameters_are_the_signatures(name: str):
    assert parameter_errors(CALLABLES[name]) == []


@pytest.mark.parametrize("name", CALLABLES)
def test_defaults_are_the_signatures(name: str):
    assert default_errors(CALLABLES[name]) == []


@pytest.mark.parametrize("name", ENGINE)
def test_engine_is_annotated(name: str):
    assert annotation_errors(ENGINE[name]) == []


def python_modules() -> list[str]:
    return [
        "sklearn_dbt",
        *(m.name for m in pkgutil.walk_packages(sklearn_dbt.__path__, "sklearn_dbt.")),
    ]


@pytest.mark.parametrize("name", python_modules())
def test_examples_of_the_module_run(name: str):
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    assert doctest_errors(found) == ""


def hidden_examples(text: str) -> list[str]:
    """Lines whose example doctest passes over, because something stands before its prompt."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if ">>> " in line and not line.startswith(">>> ")]


def written_pages() -> list[str]:
    pages = [ROOT / "README.md", *(ROOT / "doc").rglob("*.rst")]
    built = ("_build", "auto_examples", "generated")
    pages = [p.relative_to(ROOT) for p in pages if not set(p.relative_to(ROOT).parts) & set(built)]
    return sorted(p.as_posix() for p in pages if ">>> " in (ROOT / p).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", written_pages())
def test_examples_of_the_page_run(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert hidden_examples(text) == []
    # A fence closes a Markdown example; doctest would take it for expected output.
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, page, str(ROOT / page), 0)
    assert doctest_errors([test]) == ""


# --- the checks fire -----------------------------------------------------------------------------


def offending(first: int, second="x", *, third=None, **rest) -> None:
    """Do nothing.

    Parameters
    ----------
    first : int, default=1
        Has none.
    third : int, default=2
        Has another.
    second : str
        Has one that is not told.

    Examples
    --------
    >>> 1 + 1
    3
    """


def proper(
    first, second="x", *, third=None, fourth=1e-3, fifth: int = 2, low=0.5, high=1.0, **rest
) -> None:
    """Do nothing.

    Parameters
    ----------
    first : int
        No default.
    second : {"x", "y"}, default="x"
        A name.
    third : Ignored
        Not used.
    fourth, fifth : float
        Two at once.
    low, high : float, default=0.5, 2.0
        Two at once, each with its own.
    **rest : dict
        More.

    Examples
    --------
    >>> 1 + 1
    2
    """


def test_parameter_check_fires():
    assert parameter_errors(offending) != []
    assert parameter_errors(proper) == []


def test_default_check_fires():
    assert [text.split()[0] for text in default_errors(offending)] == ["first", "second", "third"]
    assert [text.split()[0] for text in default_errors(proper)] == ["fourth", "fifth", "high"]


@pytest.mark.parametrize(
    ("text", "value", "same"),
    [
        ("None", None, True),
        ('"x"', "x", True),
        ("'x'", "x", True),
        ("1e-3", 0.001, True),
        ("1", 1.0, False),
        ("np.inf", float("inf"), True),
        ("x", "x", True),
        ("2", 3, False),
        ("True", 1, False),
    ],
)
def test_values_are_compared(text: str, value: object, same: bool):
    assert same_value(text, value) is same


def test_annotation_check_fires():
    assert annotation_errors(offending) == [
        f"{n} has no annotation" for n in ("second", "third", "rest")
    ]
    assert annotation_errors(lambda x: x)[-1] == "the result has no annotation"


def test_numpydoc_check_fires():
    assert numpydoc_errors("doctest.DocTestFinder.find", NUMPYDOC) != []
    assert numpydoc_errors("doctest.DocTestFinder", NUMPYDOC_PUBLIC) != []


def test_hidden_examples_are_found():
    """The cell of a table, whose dash may stand on the same line."""
    assert hidden_examples("* - >>> 1 + 1\n    2") == ["* - >>> 1 + 1"]
    assert hidden_examples("* -\n    >>> 1 + 1\n    2") == []


def test_doctest_check_fires():
    finder = doctest.DocTestFinder()
    assert "Expected:\n    3" in doctest_errors(finder.find(offending, "offending"))
    assert doctest_errors(finder.find(proper, "proper")) == ""
