"""Configuration of Sphinx, which builds the documentation site: see scripts/docs.sh."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

project = "Tunestack"
author = "The Tunestack authors"
project_copyright = author
version = release = re.findall(
    r'^__version__ = "(.*)"', (ROOT / "sdk/src/tunestack/__init__.py").read_text(), re.MULTILINE
)[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "generated",
    "links",
    "docstrings",
]
exclude_patterns = ["site", "_build", "README.md"]
suppress_warnings = ["misc.highlighting_failure", "myst.header"]

# Anchors as on GitHub.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "members": True,
    "exclude-members": "model_config",  # of pydantic
}
autodoc_mock_imports = ["aws_cdk", "constructs"]  # starts Node
default_role = "code"
smartquotes = False  # also changes the dashes of options
maximum_signature_line_length = 80
add_module_names = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # long, for the settings of stages
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "Tunestack"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "source_repository": "https://github.com/tunestack/tunestack/",
    "source_branch": "main",
    "source_directory": "docs/",
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
