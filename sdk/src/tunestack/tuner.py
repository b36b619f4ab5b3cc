"""The way in: `Tuner` finds where to work and hands out jobs and endpoints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from tunestack import catalog
from tunestack.backends.accounts import BEDROCK, Accounts
from tunestack.backends.bedrock.account import AwsAccount
from tunestack.backends.identifiers import ENDPOINT, JOB, MODEL
from tunestack.backends.openai.client import client_of
from tunestack.backends.openai.project import OpenAIProject
from tunestack.custom_models import CustomModels
from tunestack.endpoints.endpoint import START_TIMEOUT, Endpoint, with_expiry
from tunestack.endpoints.start import start, stop_own
from tunestack.environment import snapshot
from tunestack.errors import ConfigError, ModelError, shortened
from tunestack.jobs.follow import follow
from tunestack.jobs.job import TIMEOUT, Job
from tunestack.jobs.submit import estimate, submit
from tunestack.polling import Poll, to_timeout
from tunestack.spec.arguments import checked, checked_state, checked_time
from tunestack.spec.job_spec import resolve_submission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    import boto3
    import openai as openai_package

    from tunestack.backends.base import Account, Check, EndpointInfo, JobInfo, JobState, Provider
    from tunestack.deployment import Deployment
    from tunestack.records.source import Source
    from tunestack.spec.cost import Cost
    from tunestack.spec.job_spec import SubmitArguments


class Tuner(CustomModels):
    """Fine-tunes models on Bedrock, with what `cdk deploy` set up, and at OpenAI.

    Everything is found on its own: argument, environment (`eval "$(tunestack env)"`), or the stage's SSM parameter; for
    OpenAI its own variables (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, ...). Nothing is called before it is needed.
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
        """Say where to work, as far as the environment does not.

        Args:
            stage: the stage that was deployed; `TUNESTACK_STAGE` or `dev` if not given.
            region: where to tune; the environment's, or else the one where the model can be tuned.
            deployment: what was deployed, instead of looking it up; decides the region.
            session: whose credentials to use; boto3's default if not given.
            openai: who calls OpenAI, or a server that speaks its API: a client with key, organization, project and base URL;
                made of the environment if not given.
            poll: how to wait.

        Raises:
            ConfigError: the AWS profile or configuration file is wrong.
        """
        self._poll = poll or Poll()
        self._aws_account = partial(
            AwsAccount, stage=stage, region=region, deployment=deployment, session=session
        )
        self._openai_project = partial(OpenAIProject, openai, poll=self._poll)
        self._is_bound = False
        self._environment = snapshot()
        self._resolved = self._resolve()

    def _resolve(self) -> Accounts:
        environment = self._environment
        return Accounts(
            self._aws_account(environment=environment), self._openai_project(environment)
        )

    @property
    def _accounts(self) -> Accounts:
        """Where to work; resolved again when the environment is no longer the one that it was resolved from."""
        now = self._environment if self._is_bound else snapshot()
        if now != self._environment:
            self._environment = now
            self._resolved = self._resolve()
        return self._resolved

    def bind(self, model: str) -> Tuner:
        """Return a tuner that works with the present environment, whatever the environment becomes later.

        Its clients are created now, and its deployment is looked up now, so that work in another thread goes where it was
        meant to go.

        Args:
            model: the base model or custom model of the work to come.
        """
        accounts = self._accounts
        accounts.of_model(checked("model", model, str)).connect(model)
        bound = Tuner.__new__(Tuner)
        bound.__dict__.update(self.__dict__, _is_bound=True)
        return bound

    def submit(self, model: str, data: Source, **arguments: Unpack[SubmitArguments]) -> Job:
        """Submit a fine-tuning job; billed by the token trained (tokens of the file x epochs).

        What can be known is checked before anything is uploaded; `check` does that alone.
        The same model, data and hyperparameters, submitted again from anywhere, are the same job, whatever the other
        arguments; a job that failed or was stopped is tried anew.

        Args:
            model: a base model by any of its names (`nova-micro`, `bedrock/us.amazon.nova-micro-v1:0`,
                `openai/gpt-4o-mini-2024-07-18`, ...), or a tuned model, or the ARN of its endpoint, to tune it further.
            data: a path or an `s3://` URI of a `.jsonl` or `.jsonl.gz` file, or any iterable of dicts, in `data_format`.
            data_format: `chat` (`{"messages": [...]}`), `completion` (`{"prompt", "completion"}`), or another of
                `tunestack.records.SourceFormat`; told by the first record if not given.
            hyperparameters: by the vendor's names, see `tunestack models`.
            validation_data: like `data`; not every model takes it.
            record_format: what records are written in, where the model learns from more than one format.
            on_loss: `error`, or `report`: what the model's format can't carry is left out, and logged.
            ignore: rules that are not to be held against the data, see docs/training-data-rules.md.
            s3_path: where to put the data: a folder, or the file's own place if it ends in `.jsonl`; the job role must be allowed to read there.
            name: what the names of job and tuned model begin with; at most 20 characters.
            tags: for the job and the tuned model, beside Tunestack's own.
            rerun: start another job although an equal one runs or has succeeded; it is billed again.
            max_cost: US dollars that training may cost, by an estimate of its tokens and the prices that are known.
            method: `supervised`, or `dpo`, from preferences (OpenAI).
            seed: what chance is to begin with (OpenAI).
            suffix: what the tuned model's name has in it, at most 64 characters (OpenAI).
            queue: wait for a free slot when the account runs as many jobs as its quota allows: `True` for up to 24 hours, or
                seconds or a `timedelta`. Nothing is paid before the job is created.

        Raises:
            ModelError: the model can't be tuned, or not in this region; names those that can.
            HyperparameterError: a name or value that the model does not take.
            DataError: the data has problems; names every line.
            ConfigError: any other argument or setting is wrong; `ContractError` when nothing is deployed, `CostError` when
                it would cost more than `max_cost`, or nobody knows.
            QuotaError: the account runs as many jobs as it may; with `queue`, still after that time.
            ProviderError: the provider refused or failed.
        """
        target, wanted = resolve_submission(
            lambda name: self._accounts.of_model(name).target(name),
            model,
            data,
            **arguments,
        )
        info = submit(target.provider, wanted, poll=self._poll)
        return self._handle(self._accounts.of_model(model), target.provider, info)

    def check(self, model: str, **arguments: Unpack[SubmitArguments]) -> None:
        """Check everything that `submit` would refuse without reading data; nothing is uploaded, created or billed.

        `submit` checks the same by the same code; the records and `max_cost` depend on the data. Where the caller may read quotas,
        a job slot has to be free, or with `queue` to exist at all.

        Args:
            model: as of `submit`.
            arguments: as of `submit`, by name, without `data`.

        Raises:
            ModelError: the model can't be fine-tuned, or not in this region.
            HyperparameterError: an unknown name, or an invalid value.
            ConfigError: any other argument is invalid, or nothing is deployed (`ContractError`).
            QuotaError: the account may run no more jobs now.
        """
        target, wanted = resolve_submission(
            lambda name: self._accounts.of_model(name).target(name), model, (), **arguments
        )
        target.provider.check_quotas(queue=wanted.queue is not None)

    def cost(self, model: str, data: Source, **arguments: Unpack[SubmitArguments]) -> Cost:
        """Estimate the cost of a job without a deployment, credentials or a network; the arguments are those of `submit`.

        No service is called, except to read `data` that is an `s3://` URI. Models are looked up in the catalog, so what
        only the account knows is not checked: the stage's models and locations, and models of other OpenAI-compatible servers.

        Raises:
            ModelError: the model is unknown or can't be fine-tuned, or not in this region.
            HyperparameterError: the model does not accept a name or a value.
            DataError: the data is invalid.
            ConfigError: another argument is invalid; `CostError` if the estimate is above `max_cost`.
        """
        target, wanted = resolve_submission(
            lambda name: self._accounts.of_model(name).catalog_target(name),
            model,
            data,
            **arguments,
        )
        return estimate(target.provider, wanted)

    def preflight(self, model: str | None = None, *, provider: str | None = None) -> list[Check]:
        """Check what can be known before money is spent: credentials, clock, deployment, bucket, role, guard, quotas, model.

        Nothing is changed, and nothing is billed. What the caller may not read is unknown, and the check says so.

        Args:
            model: a base model by any of its names; without one, what every model needs is checked.
            provider: `bedrock` or `openai`; the model's, or `bedrock` if not given.

        Raises:
            ModelError: no base model has this name.
            ConfigError: there is no such provider.
        """
        base = None if model is None else catalog.find(checked("model", model, str))
        if model is not None and base is None:
            raise ModelError(f"no model is called {shortened(model)}: see `tunestack models`")
        named = provider or (BEDROCK if base is None else base.provider)
        return self._accounts.named(named).preflight(base, model)

    def job(self, job_id: str) -> Job:
        """Attach to a job by its id: on Bedrock its ARN, or its name in the region; at OpenAI `ftjob-...`.

        With `openai/` before it, it is the id of a job of whichever server the client speaks to.

        Raises:
            NotFoundError: there is none.
        """
        account, job_id = self._accounts.of_id(JOB, job_id)
        provider = account.provider(job_id)
        return self._handle(account, provider, provider.job(job_id))

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: str | None = None,
        created_after: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        provider: str = BEDROCK,
    ) -> Iterator[Job]:
        """List the jobs of the account in the region, or of the project at OpenAI, the newest first.

        Args:
            name_contains: only those whose name contains this.
            state: only those in this `JobState`.
            created_after: only those created since.
            tags: only those that carry all of these; costs a call for each job that is left by then.
            provider: `bedrock` or `openai`.

        Raises:
            ConfigError: there is no such state or provider, or the time has no time zone.
        """
        wanted = None if state is None else checked_state(state)
        since = None if created_after is None else checked_time("created_after", created_after)
        account = self._accounts.named(provider)
        return self._listed(account, tags or {}, name_contains, wanted, since)

    def _listed(
        self,
        account: Account,
        tags: Mapping[str, str],
        name_contains: str | None,
        state: JobState | None,
        created_after: datetime | None,
    ) -> Iterator[Job]:
        provider = account.provider()
        for info in provider.jobs(
            name_contains=name_contains, state=state, created_after=created_after
        ):
            if not tags or tags.items() <= provider.job_tags(info.id).items():
                yield self._handle(account, provider, info)

    def follow(self, jobs: Iterable[Job], timeout: Duration | None = TIMEOUT) -> Iterator[Job]:
        """Give out each of many jobs when it has changed, until all have ended: one list a look, however many they are.

        Raises:
            JobTimeoutError: not all have ended after `timeout` seconds; they go on.
        """
        return follow(list(jobs), timeout=timeout, poll=self._poll)

    def wait_all(self, jobs: Iterable[Job], timeout: Duration | None = TIMEOUT) -> list[Job]:
        """Wait until all of many jobs have ended, however they do: `job.last.state` tells, `job.require_success()` raises.

        Raises:
            JobTimeoutError: not all have ended after `timeout` seconds; they go on.
        """
        waited_for = list(jobs)
        for _ in self.follow(waited_for, timeout):
            pass
        return waited_for

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Attach to an endpoint by its ARN, also with DSPy's `bedrock/converse/`, or its name; at OpenAI by its model, `ft:...`.

        Raises:
            NotFoundError: there is none.
        """
        provider, info = self._found(endpoint_id)
        return Endpoint(provider, with_expiry(provider, info), poll=self._poll)

    def _found(self, endpoint_id: str) -> tuple[Provider, EndpointInfo]:
        account, endpoint_id = self._accounts.of_id(ENDPOINT, endpoint_id)
        provider = account.provider(endpoint_id)
        return provider, provider.endpoint(endpoint_id)

    def endpoints(self, *, model: str = "", provider: str = BEDROCK) -> Iterator[Endpoint]:
        """List the endpoints of the account in the region, of both kinds, or those of one tuned model, with their ends.

        Args:
            model: only those that serve this one.
            provider: `bedrock` or `openai`; decided by the model if one is given.

        Raises:
            ConfigError: `model` is given and is no text, such as `job.model` of a job that has none, or there is no such
                provider.
        """
        # Checked at once, not at the first endpoint that is asked for.
        if checked("model", model, str):
            account, model = self._accounts.of_id(MODEL, model)
        else:
            account = self._accounts.named(provider)
        found = account.provider(model)
        infos = found.endpoints(model=model or None)
        return (Endpoint(found, with_expiry(found, info), poll=self._poll) for info in infos)

    def start_endpoint(
        self,
        model: str,
        serving: str = "auto",
        *,
        ttl: timedelta | None = None,
        model_units: int = 1,
        unguarded: bool = False,
        timeout: Duration | None = START_TIMEOUT,
    ) -> Endpoint:
        """Start the endpoint of a tuned model, whichever job it is of, and wait until it answers; see `Job.start_endpoint`."""
        timeout = to_timeout(timeout)
        account, model = self._accounts.of_id(MODEL, model)
        endpoint = start(
            account.provider(model),
            model,
            account.provider(model).base(model),
            serving=serving,
            ttl=ttl,
            model_units=model_units,
            tags=account.tags(model),
            unguarded=unguarded,
            poll=self._poll,
        )
        return endpoint.wait(timeout)

    def stop_endpoint(self, model: str, serving: str | None = None) -> None:
        """Stop the endpoints that Tunestack started for a tuned model, those of one kind if it is given; fine without any."""
        account, model = self._accounts.of_id(MODEL, model)
        provider = account.provider(model)
        provider.base(model)
        if serving is not None and serving not in list(provider.ways):
            raise ConfigError(
                f"invalid serving {shortened(serving)}: specify {' or '.join(map(shortened, provider.ways))}"
            )
        stop_own(provider, model, serving=serving, poll=self._poll)

    def invoke(self, endpoint_id: str, messages: str | Sequence[Mapping[str, str]]) -> str:
        """Ask an endpoint, by its ARN or name; see `Endpoint.invoke`."""
        return Endpoint(*self._found(endpoint_id), poll=self._poll).invoke(messages)

    def _handle(self, account: Account, provider: Provider, info: JobInfo) -> Job:
        return Job(provider, info, tags=partial(account.tags, info.id), poll=self._poll)

    @property
    def openai(self) -> openai_package.OpenAI | None:
        """The client that calls OpenAI, if one was given."""
        return self._accounts.openai.given

    @property
    def session(self) -> boto3.Session | None:
        """The boto3 session that was passed; `None` where the environment decides."""
        return self._accounts.aws.given_session

    def with_credentials(
        self, *, session: boto3.Session | None = None, openai: openai_package.OpenAI | None = None
    ) -> Tuner:
        """Return a tuner like this one that calls AWS with another session, or OpenAI with another client."""
        return Tuner(
            **self._accounts.aws.said,  # type: ignore[arg-type]
            session=session or self.session,
            openai=openai or self.openai,
            poll=self._poll,
        )

    def __getstate__(self) -> dict[str, object]:
        """Keep what was said, and leave out credentials and clients: they are found anew where it is loaded."""
        return {**self._accounts.aws.said, "openai": self._accounts.openai.said}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the environment anew; the server of OpenAI's API stays the one that was said."""
        said = state.pop("openai")
        Tuner.__init__(self, **state, openai=None if said is None else client_of(said))
