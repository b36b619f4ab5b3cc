"""Versions and licenses of the three packages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def versions():
    """Return the version of each package by its folder."""
    packages = {"sdk": "tunestack", "infra": "tunestack_cdk", "sandbox": "tunestack_sandbox"}
    files = {
        folder: ROOT / folder / "src" / package / "__init__.py"
        for folder, package in packages.items()
    }
    result = {}
    for folder, file in files.items():
        match = re.search(r'^__version__ = "(.*)"', file.read_text(), re.MULTILINE)
        assert match is not None, file
        result[folder] = match[1]
    return result


def test_the_packages_have_one_version_which_the_changelog_describes(versions):
    (version,) = set(versions.values())
    sections = re.findall(r"^## (.+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert re.fullmatch(re.escape(version) + r" - \d{4}-\d\d-\d\d", sections[1])


def test_the_packages_require_each_other_in_this_version(versions):
    for folder, version in versions.items():
        pins = re.findall(
            r'"tunestack[a-z-]*==(.+?)"', (ROOT / folder / "pyproject.toml").read_text()
        )
        assert set(pins) == {version}


def test_the_packages_have_the_license_of_the_repository(versions):
    for folder in versions:
        assert (ROOT / folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
