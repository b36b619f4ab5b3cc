"""`Tuner`: submits jobs, and returns handles of jobs, endpoints and custom models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from tunestack.backends.accounts import BEDROCK, AccountResolver
from tunestack.backends.base import JobState
from tunestack.backends.identifiers import IdKind
from tunestack.backends.openai.client import restore_client
from tunestack.billed_costs import BillMethods
from tunestack.custom_models import CustomModel
from tunestack.endpoints.endpoint import START_TIMEOUT, Endpoint
from tunestack.endpoints.expiry import with_expiry
from tunestack.endpoints.start import start_endpoint, stop_own_endpoints
from tunestack.evaluation.methods import EvaluationMethods
from tunestack.jobs.estimates import Estimates
from tunestack.jobs.follow import follow, wait_all
from tunestack.jobs.job import TIMEOUT, Job
from tunestack.jobs.submit import check_spec, submit
from tunestack.polling import Poll, to_timeout
from tunestack.running_costs import RunningCost, running_costs
from tunestack.runs.methods import RunMethods
from tunestack.spec.arguments import check_choice, check_time, check_type
from tunestack.spec.job_spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import boto3
    import openai as openai_package

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import Check, EndpointInfo, JobInfo
    from tunestack.backends.protocols import Account, Backend
    from tunestack.deployment import Deployment
    from tunestack.endpoints.start import ServingChoice
    from tunestack.jobs.plan import Plan
    from tunestack.polling import Duration
    from tunestack.records.source import Source
    from tunestack.records.target import Rendering
    from tunestack.spec.job_spec import SubmitArguments


class Tuner(EvaluationMethods, RunMethods, BillMethods, Estimates):
    """Fine-tunes models on Bedrock, in a stage that `cdk deploy` deployed, and at OpenAI.

    The stage is found by argument, environment (`eval "$(tunestack env)"`) or its SSM parameter, OpenAI by its own variables
    (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, ...). Nothing is called before it is needed. When the environment changes, it is
    read again; `bind` returns a tuner that keeps it.

    Example:
        tuner = Tuner()
        job = tuner.submit("nova-micro", "train.jsonl", hyperparameters={"epochCount": 3}).wait()
        with job.start_endpoint() as endpoint:
            print(endpoint.invoke("Where is my parcel?"))
    """

    def __init__(
        self,
        stage: str | None = None,
        *,
        region: str | None = None,
        deployment: Deployment | None = None,
        session: boto3.Session | None = None,
        openai: openai_package.OpenAI | None = None,
        poll: Poll | None = None,
    ) -> None:
        """Store the arguments; those that are not given are resolved from the environment.

        Args:
            stage: the deployed stage; by default `TUNESTACK_STAGE`, or `dev`.
            region: the AWS region; by default that of the environment, or the one where the model can be fine-tuned.
            deployment: a deployment, instead of looking one up; it decides the region.
            session: the AWS credentials; by default boto3's.
            openai: a client for OpenAI, or for a server with its API; by default created from the environment.
            poll: how to wait.

        Raises:
            ConfigError: the AWS profile or configuration file is invalid.
        """
        poll = poll or Poll()
        resolver = AccountResolver(
            stage=stage,
            region=region,
            deployment=deployment,
            session=session,
            openai=openai,
            poll=poll,
        )
        super().__init__(resolver, poll)

    @property
    def openai(self) -> openai_package.OpenAI | None:
        """The OpenAI client that was passed, if any."""
        return self._accounts.openai.client

    @property
    def session(self) -> boto3.Session | None:
        """The boto3 session that was passed, if any."""
        return self._accounts.bedrock.session

    def submit(
        self,
        model: str,
        data: Source,
        *,
        confirm: Callable[[Plan], object] | None = None,
        **arguments: Unpack[SubmitArguments],
    ) -> Job:
        """Submit a fine-tuning job; billed by the token trained (tokens of the file x epochs).

        All arguments and records are checked before anything is uploaded; `check` checks the arguments only. Submitting the
        same model, data and hyperparameters again, from any process, returns the same job, even if other arguments differ. If
        that job failed or was stopped, there is another attempt.

        Args:
            model: a base model by any of its names (`nova-micro`, `bedrock/us.amazon.nova-micro-v1:0`,
                `openai/gpt-4o-mini-2024-07-18`, ...), or a fine-tuned model or its endpoint (ARN) to fine-tune it further.
            data: a path or an `s3://` URI, a DataFrame, or an iterable of records. What it is is detected, see docs/my-data.md.
            confirm: is called with the plan (see `plan`) before anything is uploaded or created; an exception that it raises
                ends the submission.
            data_format: `chat` (`{"messages": [...]}`), `completion` (`{"prompt", "completion"}`), or another of
                `tunestack.records.SourceFormat`; by default detected from the first record.
            hyperparameters: by the provider's names, see `tunestack models list`.
            validation_data: like `data`; not every model accepts it.
            record_format: the format to write, for models that accept several.
            on_loss: `error`, or `report` to leave out, and log, what the model's format can't represent.
            ignore: validation rules to skip, see docs/training-data-rules.md.
            rendering: how prompts are written for models that are trained on prompts and completions (Llama 3.1): `raw`, or
                `chat-template`. By default, the prompts of prompt/completion data are kept, and messages are written with the
                chat template. `Endpoint.invoke` and DSPy use the same rendering for inference.
            mapping: the fields of records in another format: `{"prompt": "question", "completion": "answer"}`.
            s3_path: where to store the data: a folder, or a file if it ends in `.jsonl`; the job role must be allowed to read it.
            name: the prefix of the names of the job and its model; at most 20 characters.
            tags: additional tags of the job and its model.
            rerun: start another job even if an equal one is running or has succeeded; it is billed again.
            max_cost: the limit for the estimated training cost, in US dollars.
            method: `supervised`, or `dpo` for preferences (OpenAI).
            seed: the random seed (OpenAI).
            suffix: a part of the fine-tuned model's name, at most 64 characters (OpenAI).
            queue: wait for a free slot if the account runs as many jobs as its quota allows: `True` for up to 24 hours, or
                seconds or a `timedelta`. Nothing is billed before the job is created.

        Raises:
            ModelError: the model can't be fine-tuned, or not in this region; the message names models that can.
            HyperparameterError: the model does not accept a name or a value.
            DataError: the data is invalid; the message has every line.
            ConfigError: another argument is invalid; `DeploymentError` if nothing is deployed, `CostError` if the estimate is
                above `max_cost` or unknown.
            QuotaError: the account may run no more jobs now; with `queue`, still after that time.
            ProviderError: the provider refused or failed.
        """
        spec = JobSpec(model=model, data=data, **arguments)
        account = self._accounts.of_model(spec.model)
        target = account.resolve(spec.model)
        check_spec(target, spec)
        return self._job(
            account, target.backend, submit(target, spec, poll=self._poll, confirm=confirm)
        )

    def preflight(
        self, model: str | None = None, *, provider: Provider | None = None
    ) -> list[Check]:
        """Check what can be known before money is spent: credentials, clock, deployment, bucket, role, guard, quotas, model.

        Nothing is changed or billed. A check is `unknown` if the caller may not read what it needs.

        Args:
            model: a base model by any of its names; without one, what every model needs is checked.
            provider: `bedrock` or `openai`; by default that of the model, or `bedrock`.

        Raises:
            ConfigError: the model (`ModelError`) or the provider is unknown.
        """
        return self._accounts.preflight(model, provider)

    def job(self, job_id: str) -> Job:
        """Return a job: on Bedrock by its ARN, or its name in the region; at OpenAI by its id, `ftjob-...`.

        `openai/` before the id means a job of the server that the OpenAI client calls.

        Raises:
            NotFoundError: the job does not exist.
        """
        account, job_id = self._accounts.of_id(IdKind.JOB, job_id)
        backend = account.backend(job_id)
        with account.explain(job_id):
            return self._job(account, backend, backend.job(job_id))

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: str | None = None,
        created_after: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        provider: Provider = BEDROCK,
    ) -> Iterator[Job]:
        """List the jobs of the account in the region, or of the project at OpenAI, the newest first.

        Args:
            name_contains: only jobs whose name contains this.
            state: only jobs in this `JobState`.
            created_after: only jobs created since.
            tags: only jobs with all of these tags; one call for each job that the other filters leave.
            provider: `bedrock` or `openai`.

        Raises:
            ConfigError: the state or the provider is unknown, or the time has no time zone.
        """
        wanted = None if state is None else check_choice("state", state, JobState)
        since = None if created_after is None else check_time("created_after", created_after)
        account = self._accounts.of_provider(provider)
        backend = account.backend()
        infos = backend.jobs(name_contains=name_contains, state=wanted, created_after=since)
        return (
            self._job(account, backend, info)
            for info in infos
            if not tags or tags.items() <= backend.job_tags(info.id).items()
        )

    def follow(self, jobs: Iterable[Job], timeout: Duration | None = TIMEOUT) -> Iterator[Job]:
        """Poll many jobs, and yield each job that has changed, until all have ended; one list request for all in each poll.

        Args:
            jobs: the jobs.
            timeout: seconds or a `timedelta`; `None` for no limit.

        Raises:
            JobTimeoutError: not all have ended in time; they continue.
        """
        return follow(list(jobs), timeout=timeout, poll=self._poll)

    def wait_all(self, jobs: Iterable[Job], timeout: Duration | None = TIMEOUT) -> list[Job]:
        """Wait until all jobs have ended, in any state (see `job.state`); raises `JobTimeoutError` as `follow` does."""
        return wait_all(list(jobs), timeout=timeout, poll=self._poll)

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Return an endpoint by its ARN, also with DSPy's `bedrock/converse/`, or its name; at OpenAI by its model, `ft:...`.

        Raises:
            NotFoundError: the endpoint does not exist.
        """
        backend, info = self._get_endpoint(endpoint_id)
        return Endpoint(backend, with_expiry(backend, info), poll=self._poll)

    def endpoints(self, *, model: str = "", provider: Provider = BEDROCK) -> Iterator[Endpoint]:
        """List the endpoints of the account in the region, of both kinds, with their ends.

        Args:
            model: only endpoints of this fine-tuned model.
            provider: `bedrock` or `openai`; by default that of the model.

        Raises:
            ConfigError: `model` is not a string, such as `job.model` of a running job, or the provider is unknown.
        """
        if check_type("model", model, str):
            account, model = self._accounts.of_id(IdKind.MODEL, model)
        else:
            account = self._accounts.of_provider(provider)
        backend = account.backend(model)
        infos = backend.endpoints(model=model or None)
        return (Endpoint(backend, with_expiry(backend, info), poll=self._poll) for info in infos)

    def start_endpoint(
        self,
        model: str,
        serving: ServingChoice = "auto",
        *,
        ttl: Duration | None = None,
        model_units: int = 1,
        unguarded: bool = False,
        timeout: Duration | None = START_TIMEOUT,
    ) -> Endpoint:
        """Start the endpoint of a fine-tuned model and wait until it is ready; see `Job.start_endpoint`."""
        limit = to_timeout(timeout)
        account, model = self._accounts.of_id(IdKind.MODEL, model)
        backend = account.backend(model)
        endpoint = start_endpoint(
            backend,
            model,
            backend.base(model),
            serving=serving,
            ttl=ttl,
            model_units=model_units,
            tags=account.endpoint_tags(model),
            unguarded=unguarded,
            poll=self._poll,
        )
        return endpoint.wait(limit)

    def stop_endpoint(self, model: str, serving: str | None = None) -> None:
        """Stop the endpoints that Tunestack started for a fine-tuned model, or those of one kind; see `Job.stop_endpoint`."""
        account, model = self._accounts.of_id(IdKind.MODEL, model)
        backend = account.backend(model)
        backend.base(model)
        stop_own_endpoints(backend, model, serving=serving, poll=self._poll)

    def invoke(
        self,
        endpoint_id: str,
        messages: str | Sequence[Mapping[str, str]],
        *,
        rendering: Rendering | None = None,
    ) -> str:
        """Invoke an endpoint, by its ARN or name; see `Endpoint.invoke`."""
        backend, info = self._get_endpoint(endpoint_id)
        return Endpoint(backend, info, poll=self._poll).invoke(messages, rendering=rendering)

    def custom_model(self, model_id: str) -> CustomModel:
        """Return a custom model by its ARN, or its name in the region; at OpenAI by its id, `ft:...`.

        Raises:
            NotFoundError: the model does not exist.
            ModelError: the id is that of an endpoint, or invalid.
        """
        account, model_id = self._accounts.of_id(IdKind.CUSTOM_MODEL, model_id)
        backend = account.backend(model_id)
        with account.explain(model_id):
            return CustomModel(backend, backend.custom_model(model_id), poll=self._poll)

    def custom_models(
        self, *, name_contains: str = "", provider: Provider = BEDROCK
    ) -> Iterator[CustomModel]:
        """List the custom models of the account in the region, or of the project at OpenAI, the newest first.

        Args:
            name_contains: only models whose name contains this.
            provider: `bedrock` or `openai`.

        Raises:
            ConfigError: an argument is invalid.
        """
        contained = check_type("name_contains", name_contains, str) or None
        backend = self._accounts.of_provider(provider).backend()
        infos = backend.custom_models(name_contains=contained)
        return (CustomModel(backend, info, poll=self._poll) for info in infos)

    def running_costs(self) -> Iterator[RunningCost]:
        """List what is billed now by the hour or month in the region: provisioned throughput, custom models, data in S3."""
        return running_costs(self._accounts.of_provider(BEDROCK).backend())

    def bind(self, model: str) -> Tuner:
        """Return a tuner that keeps the present environment, for work in another thread.

        It creates the clients and looks up the deployment now.

        Args:
            model: the base model or custom model that will be used.
        """
        bound = Tuner.__new__(Tuner)
        resolver = self._resolver.bind(check_type("model", model, str))
        bound.__dict__.update(self.__dict__, _resolver=resolver)
        return bound

    def with_credentials(
        self, *, session: boto3.Session | None = None, openai: openai_package.OpenAI | None = None
    ) -> Tuner:
        """Return a copy of this tuner that calls AWS with another session, or OpenAI with another client."""
        return Tuner(
            **self._accounts.bedrock.arguments,  # type: ignore[arg-type]
            session=session or self.session,
            openai=openai or self.openai,
            poll=self._poll,
        )

    def _get_endpoint(self, endpoint_id: str) -> tuple[Backend, EndpointInfo]:
        account, endpoint_id = self._accounts.of_id(IdKind.ENDPOINT, endpoint_id)
        backend = account.backend(endpoint_id)
        with account.explain(endpoint_id):
            return backend, backend.endpoint(endpoint_id)

    def _job(self, account: Account, backend: Backend, info: JobInfo) -> Job:
        tags = partial(account.endpoint_tags, info.id)
        return Job(backend, info, tags=tags, poll=self._poll, evaluate=self.evaluate)

    def __getstate__(self) -> dict[str, object]:
        """Keep the arguments, without credentials and clients."""
        accounts = self._accounts
        return {**accounts.bedrock.arguments, "openai": accounts.openai.arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Resolve the environment of this process; the settings of the OpenAI client are kept."""
        openai = restore_client(state.pop("openai"))
        Tuner.__init__(self, **state, openai=openai)
