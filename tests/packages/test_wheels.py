"""The three distributions, built by scripts/build.sh and each installed in a separate virtual environment."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.campaign

ROOT = Path(__file__).parents[2]
PACKAGES = ("tunestack", "tunestack_cdk", "tunestack_sandbox")
# The local wheels that each package needs; the package itself is last.
WHEELS = {
    "tunestack": ("tunestack",),
    "tunestack_cdk": ("tunestack", "tunestack_cdk"),
    "tunestack_sandbox": ("tunestack", "tunestack_sandbox"),
}
CONSUMERS = {
    "tunestack": """
from datetime import timedelta

from tunestack import Job, Poll, Tuner
from tunestack.errors import TunestackError


def train(path: str) -> Job:
    try:
        return Tuner(poll=Poll()).submit("nova-micro", path, queue=timedelta(hours=1)).wait()
    except TunestackError as error:
        raise SystemExit(str(error)) from error
""",
    "tunestack_cdk": """
from aws_cdk import App

from tunestack_cdk import Stage, Tunestack, TunestackStack

stage = Stage(name="dev", regions=("us-east-1",), base_models=("nova-micro",))
stack = TunestackStack(App(), "Tunestack", stage=stage, region="us-east-1")
tunestack: Tunestack = stack.tunestack
bucket: str = tunestack.deployment.data_bucket
""",
    "tunestack_sandbox": """
from datetime import timedelta

from tunestack_sandbox import Sandbox

with Sandbox(speed=1000) as sandbox:
    sandbox.clock.advance(timedelta(hours=1))
    environment: dict[str, str] = sandbox.environment()
""",
}
WRONG_CALLS = {
    "tunestack": "Tuner(regoin='us-east-1')",
    "tunestack_cdk": "TunestackStack(App(), 3, stage=stage, region='us-east-1')",
    "tunestack_sandbox": "Sandbox(speed='fast')",
}
CDK_APP = """
from aws_cdk import App, CfnOutput, Environment, Stack
from aws_cdk import aws_iam as iam

from tunestack_cdk import Stage, Tunestack

app = App()
stack = Stack(app, "Search", env=Environment(region="us-east-1"))
stage = Stage(
    name="search", regions=("us-east-1",), base_models=("nova-micro",), retain_data=False
)
tunestack = Tunestack(stack, "Tunestack", stage=stage, region="us-east-1")
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
tunestack.access.policies["tuner"].attach_to_role(role)
CfnOutput(stack, "Bucket", value=tunestack.deployment.data_bucket)
app.synth()
"""


def run(*command, cwd, code=0, **variables):
    """Run a command, check its exit code, and return its output."""
    environment = {name: value for name, value in os.environ.items() if "COV" not in name}
    environment.pop("UV_PYTHON", None)
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Build the wheels and source distributions of the three packages and return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    run(ROOT / "scripts/build.sh", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def install(dist, tmp_path_factory):
    """Install local wheels and other requirements into a new virtual environment and return its bin folder."""

    def install(package, *requirements, extras=""):
        folder = tmp_path_factory.mktemp("install")
        uv = shutil.which("uv")
        run(uv, "venv", "--quiet", "--python", sys.executable, "venv", cwd=folder)
        wheels = [next(dist.glob(f"{name}-*.whl")).as_uri() for name in WHEELS[package]]
        names = [name.replace("_", "-") for name in WHEELS[package]]
        names[0] += extras
        direct = [f"{name} @ {wheel}" for name, wheel in zip(names, wheels, strict=True)]
        run(
            *(uv, "pip", "install", "--quiet", "--python", "venv"),
            *direct,
            *requirements,
            cwd=folder,
        )
        return folder / "venv/bin"

    return install


@pytest.fixture(scope="module")
def installed(install):
    """Install each package in a separate environment and return the bin folders by package name."""
    return {package: install(package) for package in PACKAGES}


def test_two_builds_have_the_same_bytes(dist, tmp_path):
    run(ROOT / "scripts/build.sh", tmp_path, cwd=ROOT)
    first = {path.name: path.read_bytes() for path in dist.iterdir()}
    second = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(first) == 2 * len(PACKAGES)
    assert second == first


@pytest.mark.parametrize("package", PACKAGES)
def test_the_distributions_have_the_license(dist, package):
    expected = (ROOT / "LICENSE").read_bytes()
    with zipfile.ZipFile(next(dist.glob(f"{package}-*.whl"))) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
        assert wheel.read(name) == expected
    with tarfile.open(next(dist.glob(f"{package}-*.tar.gz"))) as sdist:
        (name,) = [name for name in sdist.getnames() if name.endswith("/LICENSE")]
        file = sdist.extractfile(name)
        assert file is not None
        assert file.read() == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_installs_and_imports_alone(installed, package, tmp_path):
    others = [name for name in PACKAGES if name not in WHEELS[package]]
    code = (
        "import importlib.util, sys\n"
        f"import {package}\n"
        f"[getattr({package}, name) for name in {package}.__all__]\n"
        f"assert 'site-packages' in {package}.__file__\n"
        f"assert not any(map(importlib.util.find_spec, {others}))\n"
    )
    run(installed[package] / "python", "-W", "error", "-c", code, cwd=tmp_path)


def test_only_the_sandbox_registers_a_pytest_plugin(installed, tmp_path):
    code = (
        "from importlib.metadata import entry_points\n"
        "plugins = entry_points(group='pytest11')\n"
        "print(*(plugin.name for plugin in plugins if plugin.dist.name.startswith('tunestack')))\n"
    )
    plugins = {
        package: run(installed[package] / "python", "-c", code, cwd=tmp_path).split()
        for package in PACKAGES
    }
    assert plugins == {
        "tunestack": [],
        "tunestack_cdk": [],
        "tunestack_sandbox": ["tunestack_sandbox"],
    }


def test_the_command_line_works_with_the_extra_cli_alone(install, tmp_path):
    tunestack = install("tunestack", extras="[cli]") / "tunestack"
    assert "Fine-tune language models" in run(tunestack, "--help", cwd=tmp_path)
    assert "nova-micro" in run(tunestack, "models", "list", cwd=tmp_path)
    assert "the package 'tunestack-sandbox' is not installed: run `pip install " in run(
        tunestack, "sandbox", cwd=tmp_path, code=2
    )


def test_the_command_line_says_how_to_install_the_extra_cli(installed, tmp_path):
    output = run(installed["tunestack"] / "tunestack", "--help", cwd=tmp_path, code=2)
    assert "error: the package 'click' is not installed: run `pip install 'click" in output


@pytest.mark.parametrize("package", PACKAGES)
def test_a_consumer_is_type_checked_against_the_wheel(installed, package, tmp_path):
    """The wheel has types: a correct script passes mypy --strict, and a wrong argument is an error."""
    (tmp_path / "correct.py").write_text(CONSUMERS[package])
    (tmp_path / "wrong.py").write_text(CONSUMERS[package] + WRONG_CALLS[package] + "\n")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", os.devnull]
    mypy += ["--python-executable", installed[package] / "python", "correct.py", "wrong.py"]
    output = run(*mypy, cwd=tmp_path, code=1)
    (error,) = [line for line in output.splitlines() if ": error: " in line]
    assert error.startswith("wrong.py:")
    assert error.endswith(("[call-arg]", "[arg-type]"))


def test_the_sandbox_runs_a_projects_tests(install, tmp_path):
    tools = install("tunestack_sandbox", "pytest")
    project = shutil.copytree(ROOT / "examples/your_project", tmp_path / "project")
    output = run(tools / "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    assert "5 passed" in output


def test_another_cdk_app_deploys_the_construct(installed, install, tmp_path):
    """The app uses only the wheels of the construct; the CDK CLI deploys it into an empty sandbox."""
    cdk = shutil.which("cdk", path=f"{ROOT}/node_modules/.bin:{os.environ['PATH']}")
    sandbox = install("tunestack_sandbox", extras="[cli]") / "tunestack"
    (tmp_path / "app.py").write_text(CDK_APP)
    python = installed["tunestack_cdk"] / "python"
    (tmp_path / "cdk.json").write_text(f'{{"app": "{python} app.py"}}')
    settings = {"CDK_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}

    run(cdk, "synth", "--quiet", "--no-notices", cwd=tmp_path, **settings)
    assert (tmp_path / "cdk.out/Search.template.json").exists()

    deploy = f"'{cdk}' deploy --no-notices --require-approval never --outputs-file outputs.json"
    output = run(
        *(sandbox, "sandbox", "--empty", "--", "bash", "-euc"),
        f"'{cdk}' bootstrap --no-notices && {deploy}",
        cwd=tmp_path,
        **settings,
    )
    assert "Environment aws://123456789012/us-east-1 bootstrapped" in output
    assert '"Bucket": "' in (tmp_path / "outputs.json").read_text()
