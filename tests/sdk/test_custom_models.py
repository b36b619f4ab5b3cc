"""Custom models are listed, shown, and deleted unless an endpoint serves them."""

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
from tunestack.errors import AccessError, ConfigError, ConflictError, ModelError, NotFoundError

GPT = "openai/gpt-4o-mini-2024-07-18"


@pytest.fixture
def fine_tuned(tuner, chat):
    """Return the name of a fine-tuned model at OpenAI."""
    return tuner.submit(GPT, chat).wait().model


def model_exists(arn):
    """Return whether boto3 lists the model."""
    listed = boto3.client("bedrock", arn.split(":")[3]).list_custom_models()["modelSummaries"]
    return arn in [row["modelArn"] for row in listed]


class TestBedrockModels:
    def test_model_has_its_name_job_and_base_model(self, job, tuner):
        model = tuner.custom_model(job.model)
        assert isinstance(model, tunestack.CustomModel)
        assert (job.model, job.name, job.id) == (model.id, model.name, model.job)
        assert model.base.key == "nova-micro"
        assert model.info.state == "Active"
        assert job.refresh().ended == model.created
        assert tuner.custom_model(job.name).id == model.id
        assert model.exists()

    def test_models_are_listed_newest_first_and_jobs_are_read_on_access(self, tuner, chat):
        jobs = [tuner.submit("nova-micro", chat[number:]).wait() for number in range(2)]
        models = list(tuner.custom_models())
        assert [job.model for job in reversed(jobs)] == [model.id for model in models]
        assert models[0].info.job is None
        assert jobs[1].id == models[0].job
        (model,) = tuner.custom_models(name_contains=jobs[0].name)
        assert jobs[0].model == model.id
        assert list(tuner.custom_models(name_contains="other")) == []

    def test_deleted_model_does_not_exist(self, job, tuner):
        model = tuner.custom_model(job.model)
        model.delete()
        assert not model_exists(job.model)
        assert not model.exists()
        model.delete()
        for read in (model.refresh, lambda: tuner.custom_model(job.model)):
            with pytest.raises(NotFoundError, match="getting custom model"):
                read()

    def test_access_error_for_a_deleted_model_is_ignored(self, job, tuner, inject_error):
        """The tuner policy requires a tag of the model, and a deleted model has none."""
        model = tuner.custom_model(job.model)
        inject_error("DeleteCustomModel", "AccessDeniedException")
        with pytest.raises(AccessError):
            model.delete()
        assert model_exists(job.model)
        model.delete()
        inject_error("DeleteCustomModel", "AccessDeniedException")
        model.delete()
        assert not model_exists(job.model)

    def test_model_served_by_an_endpoint_is_not_deleted(self, job, tuner):
        name = job.start_endpoint().name
        model = tuner.custom_model(job.model)
        assert [name] == [endpoint.name for endpoint in model.endpoints()]
        with pytest.raises(ConflictError, match=f"served by endpoint '{name}': stop its endpoints"):
            model.delete()
        assert model_exists(job.model)
        job.stop_endpoint()
        model.delete()
        assert not model_exists(job.model)

    def test_model_of_an_endpoint_update_in_progress_is_not_deleted(self, job, tuner, chat):
        """Lists have the current model of an endpoint, so the rejection comes from AWS."""
        other = tuner.submit("nova-micro", chat[1:]).wait()
        name = job.start_endpoint().name
        boto3.client("bedrock").update_custom_model_deployment(
            customModelDeploymentIdentifier=name, modelArn=other.model
        )
        with pytest.raises(
            ConflictError, match="is not deleted, it is in use .*stop its"
        ) as raised:
            tuner.custom_model(other.model).delete()
        assert raised.value.code == "ConflictException"
        assert model_exists(other.model)
        job.stop_endpoint()

    def test_model_is_not_deleted_without_permission(self, job, tuner, inject_error):
        model = tuner.custom_model(job.model)
        inject_error("DeleteCustomModel", "AccessDeniedException")
        with pytest.raises(AccessError, match="deleting custom model"):
            model.delete()
        inject_error("GetCustomModel", "AccessDeniedException")
        with pytest.raises(AccessError):
            model.exists()
        assert model_exists(job.model)

    def test_handles_of_the_same_model_are_equal(self, job, tuner):
        assert {tuner.custom_model(job.model)} == {tuner.custom_model(job.name)}

    def test_invalid_custom_model_is_rejected(self, job, tuner):
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


class TestOpenAIModels:
    def test_model_is_listed_and_deleted(self, tuner, fine_tuned):
        # The checkpoints of the last epochs are also models.
        models = {model.id: model for model in tuner.custom_models(provider="openai")}
        assert all(name.startswith(fine_tuned) for name in models)
        model = models[fine_tuned]
        assert (fine_tuned, "gpt-4o-mini-2024-07-18", None) == (model.id, model.base.key, model.job)
        assert list(model.endpoints()) == []
        tuner.custom_model(fine_tuned).delete()
        assert fine_tuned not in [row.id for row in openai.OpenAI().models.list()]
        assert not model.exists()
        remaining = [other.id for other in tuner.custom_models(provider="openai")]
        assert sorted(models.keys() - {fine_tuned}) == sorted(remaining)

    def test_base_model_is_rejected(self, tuner, fine_tuned):
        with pytest.raises(ModelError, match="is a base model: pass a fine-tuned model"):
            tuner.custom_model(GPT)


class TestCommands:
    def test_models_are_listed_and_shown(self, cli, job, fine_tuned):
        code, out, _ = cli("custom-models", "list")
        assert (code, job.model in out) == (0, True)
        (row,) = map(json.loads, cli("custom-models", "list", "--json")[1].splitlines())
        assert (job.model, job.name) == (row["id"], row["name"])
        assert fine_tuned in cli("custom-models", "list", "--provider", "openai")[1]
        shown = json.loads(cli("custom-models", "show", job.name, "--json")[1])
        assert (job.model, job.id, "Active") == (shown["id"], shown["job"], shown["state"])
        assert " UTC\n" in cli("custom-models", "show", fine_tuned)[1]

    def test_delete_without_a_terminal_requires_yes(self, cli, job):
        code, _, err = cli("custom-models", "delete", job.name)
        assert (code, "confirm the deletion with --yes" in err) == (2, True)
        assert model_exists(job.model)
        code, out, _ = cli("custom-models", "delete", job.name, "--yes", "--json")
        assert (0, "deleted", job.model) == (
            code,
            json.loads(out)["state"],
            json.loads(out)["id"],
        )
        assert not model_exists(job.model)
        assert cli("custom-models", "delete", job.name, "--yes")[0] == 3

    def test_error_about_a_served_model_names_the_endpoint(self, cli, job):
        name = job.start_endpoint().name
        code, _, err = cli("custom-models", "delete", job.model, "--yes")
        assert (code, f"served by endpoint '{name}'" in err) == (3, True)
        job.stop_endpoint()

    @pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
    def test_delete_on_a_terminal_asks_for_confirmation(self, job, answer, code):
        control, terminal = pty.openpty()
        os.write(control, f"{answer}\n".encode())
        process = subprocess.run(
            [Path(sys.executable).with_name("tunestack"), "custom-models", "delete", job.model],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        os.close(control)
        os.close(terminal)
        assert (
            "A deleted model cannot be restored, and training it again is billed." in process.stderr
        )
        assert (code, answer == "n") == (process.returncode, model_exists(job.model))
