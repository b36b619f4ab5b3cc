"""Colors of the report: contrast by WCAG 2.2, in light, dark and print."""

import re

import pytest

from tunestack.report.svg import LIGHT_COLORS, STYLES, style_sheet

_RULES = re.compile(r":root \{(.*?)\}", re.DOTALL)
_COLOR = re.compile(r"--(\w+): (#[0-9a-f]{3,6});")
TEXT = ("ink", "soft", *(f"s{style}" for style in range(STYLES)))


def luminance(color):
    """Return the relative luminance: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    channels = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Return the contrast ratio: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def read_themes():
    sheets = style_sheet("chart.css") + style_sheet("page.css")
    light, dark, printed = (dict(_COLOR.findall(rule)) for rule in _RULES.findall(sheets))
    return {"light": light, "dark": dark, "print": printed}


def test_contrast_is_computed_by_the_standard():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_and_lines_have_the_contrast_of_level_aa(theme):
    colors = read_themes()[theme]
    assert {*TEXT, "paper", "rule"} == colors.keys()
    # Lines need 3, but their labels have the same color, and text needs 4.5.
    ratios = {name: contrast(colors[name], colors["paper"]) for name in TEXT}
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_all_colors_are_those_of_the_themes():
    sheets = style_sheet("chart.css") + style_sheet("page.css")
    outside = _RULES.sub("", sheets)
    assert re.findall(r"#[0-9a-f]{3,6}\b", outside) == []


def test_lines_differ_without_color():
    sheet = style_sheet("chart.css")
    dashes = [
        re.search(rf"^\.s{style} {{.*?(?:dasharray: ([\d ]+))?; }}", sheet, re.MULTILINE)
        for style in range(STYLES)
    ]
    patterns = [match[1] for match in dashes if match]
    assert len(set(patterns)) == STYLES


def test_png_and_svg_have_the_same_colors():
    light = read_themes()["light"]
    assert tuple(light[f"s{style}"] for style in range(STYLES)) == LIGHT_COLORS
