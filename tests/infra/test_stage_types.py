"""Type checkers reject invalid settings of a stage."""

from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]
VALID = 'Stage(name="dev", regions=("us-east-1",), base_models=("nova-micro",)'


@pytest.fixture(scope="module")
def type_errors(tmp_path_factory):
    """What mypy prints for each line of a file, by its number."""
    file = tmp_path_factory.mktemp("types") / "stages_file.py"
    lines = [
        "from tunestack_cdk import Stage",
        f"{VALID}, max_endpoint_hours=8)",
        f"{VALID}, max_endpoint_hour=8)",
        f"{VALID}, max_endpoint_hours='8')",
        "Stage(name=1, regions=('us-east-1',), base_models=('nova-micro',))",
        "Stage(name='dev', regions=('us-east-1',))",
    ]
    file.write_text("\n".join(lines))
    output, errors, _ = api.run(
        ["--strict", "--config-file", str(ROOT / "pyproject.toml"), str(file)]
    )
    assert errors == ""
    prefix = f"{file.name}:"
    return {
        int(line.partition(prefix)[2].partition(":")[0]): line
        for line in output.splitlines()
        if prefix in line and ": error:" in line
    }


def test_valid_settings_pass_type_checking(type_errors):
    assert type_errors.keys() <= {3, 4, 5, 6}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (3, 'Unexpected keyword argument "max_endpoint_hour"'),
        (4, 'Argument "max_endpoint_hours" to "Stage" has incompatible type "str"'),
        (5, 'Argument "name" to "Stage" has incompatible type "int"'),
        (6, 'Missing named argument "base_models"'),
    ],
)
def test_an_invalid_setting_fails_type_checking(type_errors, line, message):
    assert message in type_errors[line]
