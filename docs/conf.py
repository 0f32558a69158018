"""Configuration of Sphinx. Nothing here asks the network."""
# ruff: noqa: ARG001 - the arguments of hooks are Sphinx's

import importlib.metadata
import re

from sphinx.ext.napoleon import Config, GoogleDocstring


project = "tokenbind"
copyright = "the tokenbind contributors"
version = release = importlib.metadata.version("tokenbind")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"tokenbind {release}"

default_role = "py:obj"  # single backticks in docstrings
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True


class Docstring(GoogleDocstring):
    """Google's style, in which a colon in a sentence is a colon, and one line may describe several attributes."""

    def _consume_returns_section(self, preprocess_types=False):
        return [("", "", self._dedent(self._consume_to_next_section()))]

    def _parse_attributes_section(self, section):
        return self._format_fields(section, self._consume_fields())


def read_docstring(app, what, name, obj, options, lines):
    """As napoleon would; but it takes the first words of a property for its type."""
    lines[:] = Docstring(
        [line for line in lines if not line.startswith("Create new instance of ")],  # Python's words for named tuples
        Config(),
        what="method" if what == "property" else what,
        name=name,
        obj=obj,
    ).lines()


def skip_member(app, what, name, obj, skip, options):
    """The fields of a named tuple are in its docstring; Python's words for each are "Alias for field number 0"."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def remove_invisible_code(app, docname, source):
    """What tests execute, and readers need not see: it would stand in the HTML as comments."""
    source[0] = re.sub(r"<!---.*?-->\n", "", source[0], flags=re.DOTALL)


def setup(app):
    app.connect("source-read", remove_invisible_code)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-skip-member", skip_member)
