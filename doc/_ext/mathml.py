"""Equations as MathML, which every current browser draws: no script, no network."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.math import get_node_equation_number


def to_mathml(latex: str) -> str:
    """Draw a displayed equation; lines that end in a double backslash are aligned at their &."""
    latex = latex.strip().replace("\n\n", r"\\")
    if r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{align*}}{latex}\end{{align*}}"
    # The converter knows the starred environment and not the inner one; they look the same.
    latex = latex.replace("{aligned}", "{align*}")
    return convert(latex, display="block")


def visit_inline(self, node: nodes.math) -> None:
    """An equation within a line."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    """An equation of its own, with its number if it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(to_mathml(node.astext()))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
