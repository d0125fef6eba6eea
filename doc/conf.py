"""How Sphinx builds these pages; nothing is fetched for it, and the pages fetch nothing."""

import os
import re
import sys
from importlib import metadata
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sklearn_dbt"
author = "The sklearn_dbt developers"
project_copyright = f"2026, {author}"
release = version = metadata.version("sklearn-dbt")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "changelog",
    "mathml",
]
exclude_patterns = ["_build", "_templates", "auto_examples/*.ipynb"]
templates_path = ["_templates"]
default_role = "code"

# --- API pages: one a public name, from its docstring --------------------------------------------
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections tell the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_xref_param_type = False
numpydoc_use_plots = False

# --- gallery: every example runs while the pages are built ---------------------------------------
# The demo writes its table and pictures somewhere; here that is beside the pages.
os.environ.setdefault("SKLEARN_DBT_REPORT", str(Path(__file__).parent / "_build" / "report"))
(Path(__file__).parent / "_build").mkdir(exist_ok=True)
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_dbt",),
    "reference_url": {"sklearn_dbt": None},
    "within_subsection_order": ExplicitOrder(["plot_eeg_state.py", "*"]),
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "ignore_repr_types": r"matplotlib.*",
}

# --- HTML ----------------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = "sklearn_dbt"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!sklearn_dbt).*")]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"evidence": [], "install": [], "changelog": [], "architecture": []}


def is_ours(thing: object) -> bool:
    """Whether a member of a class is written in this package."""
    thing = getattr(thing, "fget", thing)
    return (getattr(thing, "__module__", None) or "").startswith("sklearn_dbt")


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what a class inherits from scikit-learn or torch: their own pages tell it."""
    if what == "class" and not skip and not is_ours(obj):
        return True
    return None


def escape_attributes(app, what, name, obj, options, lines):
    """Keep ``n_features_in_`` in a shape from being read as a link to somewhere."""
    for i, line in enumerate(lines):
        if "shape (" in line or line.lstrip().startswith("(") or "``" not in line:
            lines[i] = re.sub(r"(?<![`\w.])(\w+[a-z])_(?=[,)])", r"\1\_", line)


def find_elsewhere(app, env, node, contnode):
    """Lead ``sklearn_dbt.ChannelScaler`` to the page of its family, where it is documented."""
    target = node.get("reftarget", "")
    if not target.startswith("sklearn_dbt."):
        return None
    domain, last = env.get_domain("py"), target.rpartition(".")[2]
    for name in domain.objects:
        if name.startswith("sklearn_dbt.") and name.rpartition(".")[2] == last:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], name, node, contnode
            )
    return None


def setup(app):
    """Connect the above."""
    app.connect("autodoc-skip-member", skip_foreign_members)
    app.connect("autodoc-process-docstring", escape_attributes, priority=600)  # after numpydoc
    app.connect("missing-reference", find_elsewhere)
