"""Convert docstrings and help texts to reStructuredText, which autodoc and sphinx-click expect.

The docstrings are in Markdown, as editors and `help()` show them.
"""

import inspect
import re
from typing import TYPE_CHECKING, get_type_hints

from docutils import nodes
from pydantic import BaseModel
from sphinx.util.inspect import stringify_signature

if TYPE_CHECKING:
    import click
    from sphinx.application import Sphinx

_FENCE = re.compile(r"^(\s*)```(\w*)$")
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\((https?:[^)]+)\)")


def convert(
    app: "Sphinx", what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Replace fenced blocks, inline code, links and the code of examples in place."""
    result: list[str] = []
    block: str | None = None  # the indentation of a fenced block, or of the code after "Example:"
    for line in lines:
        fence = _FENCE.match(line)
        if block == "example" and line and not line.startswith(" "):
            block = None
        if block is None and line == "Example:":
            block = "example"
            result += [line, "    .. code-block:: python", ""]
        elif block is None and fence:
            block = fence[1]
            result += [f"{block}.. code-block:: {fence[2] or 'text'}", ""]
        elif fence:
            block = None
            result.append("")
        elif block is not None:
            result.append(f"    {line}" if line else "")
        else:
            line_with_code = _CODE.sub(r"``\1``", line)
            result.append(_LINK.sub(r"`\1 <\2>`__", line_with_code))
    lines[:] = result


def shorten_signature(
    app: "Sphinx", what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Return the signature of a pydantic model without the constraints of its fields, and that of a construct."""
    if not isinstance(obj, type):
        return None
    if not issubclass(obj, BaseModel):
        # The base class of constructs is a mock, which hides the constructor.
        is_hidden = "__init__" in vars(obj) and signature.startswith("(*args")
        return (stringify_signature(_without_self(obj)), returns) if is_hidden else None
    hints = get_type_hints(obj)
    parameters = [
        inspect.Parameter(
            field,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field],
            default=inspect.Parameter.empty if info.is_required() else info.default,
        )
        for field, info in obj.model_fields.items()
    ]
    return stringify_signature(inspect.Signature(parameters)), returns


def _without_self(kind: type) -> inspect.Signature:
    signature = inspect.signature(vars(kind)["__init__"])
    return signature.replace(
        parameters=list(signature.parameters.values())[1:],
        return_annotation=inspect.Signature.empty,
    )


def format_examples(app: "Sphinx", context: "click.Context", lines: list[str]) -> None:
    """Show the examples at the end of a help text as code; the link is the one of the command line."""
    examples = [line.removeprefix("| ").strip() for line in lines if "$ " in line]
    code = [f"   {line.removeprefix('$ ')}" for line in examples]
    lines[:] = [".. rubric:: Examples", "", ".. code-block:: shell", "", *code, ""]


def replace_dashes(app: "Sphinx", doctree: nodes.document) -> None:
    """Set the dash between a parameter and its description, which Sphinx leaves to `smartquotes`."""
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: "Sphinx") -> dict[str, bool]:
    """Connect the extension, before napoleon."""
    app.connect("autodoc-process-docstring", convert, priority=400)
    app.connect("doctree-read", replace_dashes)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("sphinx-click-process-epilog", format_examples)
    return {"parallel_read_safe": True}
