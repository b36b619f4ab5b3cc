"""Resolve links to files of the repository that are not pages of the site, and show files outside of docs as pages.

The pages are read on a forge, too, where `../sdk` is a folder. On the site, such a link leads to the repository.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/tunestack/tunestack"
PAGES = {
    "CHANGELOG.md": "project/changelog",
    "CODE_OF_CONDUCT.md": "project/code-of-conduct",
    "CONTRIBUTING.md": "project/contributing",
    "SECURITY.md": "project/security",
    "README.md": "index",
    "docs/adr": "adr/index",
}
"""Files and folders of the repository, and the pages of the site that show them."""
_SHOWN = {page: file for file, page in PAGES.items() if page.startswith("project/")}
# Fenced blocks and inline code are kept.
_CODE_OR_LINK = re.compile(
    r"^ *(```+|:::+).*?^ *\1 *$|`[^`\n]+`|(?<=\]\()(?!https?:|mailto:|#)([^)#\s]*)(#[^)\s]*)?(?=\))",
    re.DOTALL | re.MULTILINE,
)

# Pictures in light and dark, for which the site has classes.
_PICTURE = re.compile(
    r"<picture>\s*<source [^>]*srcset=\"([^\"]+)\">\s*<img alt=\"([^\"]+)\" src=\"([^\"]+)\">\s*</picture>"
)
_EMPTY_GLOB = re.compile(r"^(\w+)/\*\n", re.MULTILINE)


def read_source(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Replace the links of a page."""
    folder = ROOT / "docs" / Path(docname).parent
    text, origin = source[0], folder
    if docname in _SHOWN:
        file = ROOT / _SHOWN[docname]
        app.env.note_dependency(str(file), docname=docname)
        text, origin = file.read_text(encoding="utf-8"), ROOT

    def replace(match: re.Match[str]) -> str:
        target, anchor = match[2], match[3] or ""
        if not target:
            return match[0]
        return _resolve((origin / target).resolve(), folder, anchor) or match[0]

    text = _PICTURE.sub(
        lambda match: (
            show_image(match[3], match[2], "light") + show_image(match[1], match[2], "dark")
        ),
        text,
    )
    source[0] = _EMPTY_GLOB.sub(keep_glob, _CODE_OR_LINK.sub(replace, text))


def show_image(path: str, alt: str, theme: str) -> str:
    """Return the directive for an image that is shown in one theme only."""
    return f"```{{figure}} {path}\n:alt: {alt}\n:figclass: diagram only-{theme}\n```\n\n"


def keep_glob(match: re.Match[str]) -> str:
    """Return an entry of a table of contents if pages match it; Sphinx warns if none do."""
    return match[0] if any((ROOT / "docs").glob(f"{match[1]}/*.md")) else ""


def _resolve(path: Path, folder: Path, anchor: str) -> str | None:
    """Return the target of a link on the site, or `None` if nothing exists there."""
    if not path.is_relative_to(ROOT) or not path.exists():
        return None
    name = path.relative_to(ROOT).as_posix()
    if name in PAGES:
        path = ROOT / "docs" / f"{PAGES[name]}.md"
    elif path.is_dir() or not name.startswith("docs/"):
        return f"{REPOSITORY}/{'tree' if path.is_dir() else 'blob'}/main/{name}{anchor}"
    return f"{Path(os.path.relpath(path, folder)).as_posix()}{anchor}"


def setup(app: "Sphinx") -> dict[str, bool]:
    """Connect the extension."""
    app.connect("source-read", read_source)
    return {"parallel_read_safe": True}
