"""Links of the pages lead to pages of the site, or to the repository; Sphinx reports those that lead to nothing."""

import runpy
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "docs" / "site"
REPOSITORY = "https://github.com/tunestack/tunestack"
read_source = runpy.run_path(str(SITE / "links.py"))["read_source"]


def convert(docname, text):
    source = [text]
    read_source(None, docname, source)
    return source[0]


@pytest.mark.parametrize(
    ("docname", "target", "expected"),
    [
        ("cli", "jobs.md#waiting", "jobs.md#waiting"),
        ("cli", "../README.md", "index.md"),
        ("cli", "../CONTRIBUTING.md#tests", "project/contributing.md#tests"),
        ("cli", "../sdk/src/tunestack/errors.py", f"{REPOSITORY}/blob/main/sdk/src/tunestack/errors.py"),
        ("cli", "../examples/stages", f"{REPOSITORY}/tree/main/examples/stages"),
        ("cli", "cli-schema.json", "cli-schema.json"),
        ("cli", "missing.md", "missing.md"),
        ("cli", "../../outside.md", "../../outside.md"),
        ("cli", "https://example.com/a.md", "https://example.com/a.md"),
        ("start/moving", "../../README.md", "../index.md"),
        ("start/moving", "../adr", "../adr/index.md"),
    ],
)  # fmt: skip
def test_link_is_resolved(docname, target, expected):
    assert convert(docname, f"[text]({target})") == f"[text]({expected})"


def test_link_with_code_as_its_text_is_resolved():
    text = "[`stages.py`](../stages.py) and `code` and [`sdk`](../sdk)"
    blob, tree = f"{REPOSITORY}/blob/main/stages.py", f"{REPOSITORY}/tree/main/sdk"
    assert convert("cli", text) == f"[`stages.py`]({blob}) and `code` and [`sdk`]({tree})"


@pytest.mark.parametrize("code", ["`[text](../README.md)`", "```text\n[text](../README.md)\n```\n"])
def test_code_is_unchanged(code):
    assert convert("cli", code) == code


def test_picture_is_an_image_for_each_theme():
    picture = (
        '<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="images/flow-dark.svg">\n'
        '  <img alt="The flow" src="images/flow-light.svg">\n</picture>'
    )
    text = convert("index", picture)
    for theme in ("light", "dark"):
        assert f"images/flow-{theme}.svg\n:alt: The flow\n:figclass: diagram only-{theme}" in text


def test_empty_glob_is_left_out():
    assert convert("index", "```{toctree}\nadr/*\nnothing/*\n```\n") == "```{toctree}\nadr/*\n```\n"
