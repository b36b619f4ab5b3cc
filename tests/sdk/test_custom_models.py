"""Custom models: listed, shown, and deleted unless an endpoint serves them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import boto3
import openai
import pytest

import tunestack
from tunestack.cli.commands import run
from tunestack.errors import AccessError, ConfigError, ConflictError, ModelError, NotFoundError

GPT = "openai/gpt-4o-mini-2024-07-18"


@pytest.fixture
def fine_tuned(tuner, chat):
    """The name of a fine-tuned model at OpenAI."""
    return tuner.submit(GPT, chat).wait().model


@pytest.fixture
def cli(capsys):
    def call(*arguments):
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def exists(arn):
    """Whether a model exists, as AWS's own client sees it."""
    listed = boto3.client("bedrock", arn.split(":")[3]).list_custom_models()["modelSummaries"]
    return arn in [row["modelArn"] for row in listed]


class TestBedrock:
    def test_a_model_is_described(self, job, tuner):
        model = tuner.custom_model(job.model)
        assert isinstance(model, tunestack.CustomModel)
        assert (job.model, job.name, job.id) == (model.id, model.name, model.job)
        assert model.base.key == "nova-micro"
        assert model.info.state == "Active"
        assert job.refresh().ended == model.created
        assert tuner.custom_model(job.name).id == model.id
        assert model.exists()

    def test_models_are_listed_newest_first_with_their_jobs_on_demand(self, tuner, chat):
        jobs = [tuner.submit("nova-micro", chat[number:]).wait() for number in range(2)]
        models = list(tuner.custom_models())
        assert [job.model for job in reversed(jobs)] == [model.id for model in models]
        assert models[0].info.job is None
        assert jobs[1].id == models[0].job
        (found,) = tuner.custom_models(name_contains=jobs[0].name)
        assert jobs[0].model == found.id
        assert list(tuner.custom_models(name_contains="other")) == []

    def test_a_deleted_model_does_not_exist(self, job, tuner):
        model = tuner.custom_model(job.model)
        model.delete()
        assert not exists(job.model)
        assert not model.exists()
        model.delete()
        for look in (model.refresh, lambda: tuner.custom_model(job.model)):
            with pytest.raises(NotFoundError, match="getting custom model"):
                look()

    def test_a_model_that_an_endpoint_serves_is_not_deleted(self, job, tuner):
        name = job.start_endpoint().name
        model = tuner.custom_model(job.model)
        assert [name] == [endpoint.name for endpoint in model.endpoints()]
        with pytest.raises(ConflictError, match=f"served by endpoint '{name}': stop its endpoints"):
            model.delete()
        assert exists(job.model)
        job.stop_endpoint()
        model.delete()
        assert not exists(job.model)

    def test_a_model_that_an_endpoint_is_updated_to_is_not_deleted(self, job, tuner, chat):
        """Lists show an endpoint under its present model: AWS's own refusal is the last word."""
        other = tuner.submit("nova-micro", chat[1:]).wait()
        name = job.start_endpoint().name
        boto3.client("bedrock").update_custom_model_deployment(
            customModelDeploymentIdentifier=name, modelArn=other.model
        )
        with pytest.raises(ConflictError, match="is not deleted, it is in use .*stop its") as found:
            tuner.custom_model(other.model).delete()
        assert found.value.code == "ConflictException"
        assert exists(other.model)
        job.stop_endpoint()

    def test_without_permission_nothing_is_deleted(self, job, tuner, broken):
        model = tuner.custom_model(job.model)
        broken("DeleteCustomModel", "AccessDeniedException")
        with pytest.raises(AccessError, match="deleting custom model"):
            model.delete()
        broken("GetCustomModel", "AccessDeniedException")
        with pytest.raises(AccessError):
            model.exists()
        assert exists(job.model)

    def test_two_handles_of_one_model_are_equal(self, job, tuner):
        assert {tuner.custom_model(job.model)} == {tuner.custom_model(job.name)}

    def test_what_is_no_custom_model_is_refused(self, job, tuner):
        job.start_endpoint()
        with pytest.raises(
            ModelError,
            match="it is the ARN of an endpoint: expected the ARN or name of a custom model",
        ):
            tuner.custom_model(job.endpoint().id)
        job.stop_endpoint()
        for name in ("bedrock/us.amazon.nova-micro-v1:0", "amazon.nova-micro-v1:0", "a/b"):
            with pytest.raises(
                ModelError,
                match="invalid custom model .*: expected the ARN or name of a custom model",
            ):
                tuner.custom_model(name)
        with pytest.raises(NotFoundError):
            tuner.custom_model("nova-micro")
        with pytest.raises(ConfigError, match="invalid custom model None: expected text"):
            tuner.custom_model(None)
        with pytest.raises(ConfigError, match="invalid name_contains 1: expected text"):
            tuner.custom_models(name_contains=1)
        with pytest.raises(ConfigError, match="'azure'"):
            tuner.custom_models(provider="azure")


class TestOpenAI:
    def test_a_model_is_described_and_deleted(self, tuner, fine_tuned):
        # The checkpoints of the last epochs are models, too.
        models = {model.id: model for model in tuner.custom_models(provider="openai")}
        assert all(name.startswith(fine_tuned) for name in models)
        model = models[fine_tuned]
        assert (fine_tuned, "gpt-4o-mini-2024-07-18", None) == (model.id, model.base.key, model.job)
        assert list(model.endpoints()) == []
        tuner.custom_model(fine_tuned).delete()
        assert fine_tuned not in [row.id for row in openai.OpenAI().models.list()]
        assert not model.exists()
        left = [other.id for other in tuner.custom_models(provider="openai")]
        assert sorted(models.keys() - {fine_tuned}) == sorted(left)

    def test_a_base_model_is_refused(self, tuner, fine_tuned):
        with pytest.raises(ModelError, match="is a base model: pass a fine-tuned model"):
            tuner.custom_model(GPT)


class TestCli:
    def test_list_and_show(self, cli, job, fine_tuned):
        code, out, _ = cli("custom-models", "list")
        assert (code, job.model in out) == (0, True)
        (row,) = map(json.loads, cli("custom-models", "list", "--json")[1].splitlines())
        assert (job.model, job.name) == (row["id"], row["name"])
        assert fine_tuned in cli("custom-models", "list", "--provider", "openai")[1]
        shown = json.loads(cli("custom-models", "show", job.name, "--json")[1])
        assert (job.model, job.id, "Active") == (shown["id"], shown["job"], shown["state"])
        assert " UTC\n" in cli("custom-models", "show", fine_tuned)[1]

    def test_without_a_terminal_delete_needs_yes(self, cli, job):
        code, _, err = cli("custom-models", "delete", job.name)
        assert (code, "confirm the deletion with --yes" in err) == (2, True)
        assert exists(job.model)
        code, out, _ = cli("custom-models", "delete", job.name, "--yes", "--json")
        assert (0, "deleted", job.model) == (
            code,
            json.loads(out)["state"],
            json.loads(out)["id"],
        )
        assert not exists(job.model)
        assert cli("custom-models", "delete", job.name, "--yes")[0] == 3

    def test_a_served_model_is_refused_with_the_endpoint_to_stop(self, cli, job):
        name = job.start_endpoint().name
        code, _, err = cli("custom-models", "delete", job.model, "--yes")
        assert (code, f"served by endpoint '{name}'" in err) == (3, True)
        job.stop_endpoint()

    @pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
    def test_on_a_terminal_delete_asks(self, job, answer, code):
        control, terminal = pty.openpty()
        os.write(control, f"{answer}\n".encode())
        done = subprocess.run(
            [Path(sys.executable).with_name("tunestack"), "custom-models", "delete", job.model],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        os.close(control)
        os.close(terminal)
        assert "It cannot be restored, and training it again is billed." in done.stderr
        assert (code, answer == "n") == (done.returncode, exists(job.model))
