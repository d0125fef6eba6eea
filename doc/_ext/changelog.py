"""CHANGELOG.md as a page: its headings in reStructuredText; the rest reads the same in both."""

import re
from pathlib import Path

from sphinx.application import Sphinx

UNDERLINES = {"#": "=", "##": "-", "###": "~"}


def convert(markdown: str) -> str:
    """Turn Markdown's headings into underlined ones; the default role shows `this` as code."""

    def heading(match: re.Match) -> str:
        return f"{match[2]}\n{UNDERLINES[match[1]] * len(match[2])}"

    text = re.sub(r"^(#{1,3}) (.*)$", heading, markdown, flags=re.MULTILINE)
    # A list inside a list stands between empty lines.
    text = re.sub(r"(\n(?!  )[^\n]+)(\n  - )", r"\1\n\2", text)
    return re.sub(r"(\n  [ -] [^\n]+)(\n- )", r"\1\n\2", text)


def write(app: Sphinx) -> None:
    """Write the page before sources are read, if it changed."""
    source = Path(app.srcdir).parent / "CHANGELOG.md"
    page = Path(app.srcdir) / "generated" / "changelog.inc"
    text = convert(source.read_text(encoding="utf-8"))
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the above."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
