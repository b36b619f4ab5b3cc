"""The way in: `Tuner` finds where to work and hands out jobs and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from tunestack import catalog
from tunestack.accounts.accounts import BEDROCK, Accounts
from tunestack.accounts.aws import AwsAccount
from tunestack.accounts.openai import OpenAIProject, client_of
from tunestack.arguments import checked, checked_state, checked_time
from tunestack.checking import resolve_submission
from tunestack.endpoints import START_TIMEOUT, Endpoint
from tunestack.errors import ConfigError, ModelError, shortened
from tunestack.following import follow
from tunestack.jobs import TIMEOUT, Job
from tunestack.serving import start, stop_own
from tunestack.submitting import estimate, submit
from tunestack.waiting import Poll, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    import boto3
    import openai as openai_package

    from tunestack.accounts.account import Account
    from tunestack.checking import SubmitArguments
    from tunestack.contract import Deployment
    from tunestack.cost import Cost
    from tunestack.provider import Check, JobInfo, JobState, Provider
    from tunestack.records.source import Source


class Tuner:
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
        self._accounts = Accounts(
            AwsAccount(stage=stage, region=region, deployment=deployment, session=session),
            OpenAIProject(openai, poll=self._poll),
        )

    def submit(
        self,
        model: str,
        data: Source,
        *,
        data_format: str | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        validation_data: Source | None = None,
        record_format: str | None = None,
        on_loss: str = "error",
        ignore: Collection[str] = (),
        s3_path: str | None = None,
        name: str = "tunestack",
        tags: Mapping[str, str] | None = None,
        rerun: bool = False,
        max_cost: float | None = None,
        method: str | None = None,
        seed: int | None = None,
        suffix: str | None = None,
        queue: bool | float | timedelta = False,
    ) -> Job:
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
            self._accounts,
            model,
            data,
            hyperparameters=hyperparameters,
            validation_data=validation_data,
            data_format=data_format,
            record_format=record_format,
            on_loss=on_loss,
            ignore=ignore,
            s3_path=s3_path,
            name=name,
            tags=tags,
            rerun=rerun,
            max_cost=max_cost,
            method=method,
            seed=seed,
            suffix=suffix,
            queue=queue,
        )
        return self._handle(
            self._accounts.of_model(model),
            target.provider,
            submit(target.provider, wanted, poll=self._poll),
        )

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
        target, wanted = resolve_submission(self._accounts, model, (), **arguments)
        target.provider.check_quotas(queue=wanted.queue is not None)

    def cost(
        self,
        model: str,
        data: Source,
        *,
        data_format: str | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        record_format: str | None = None,
    ) -> Cost:
        """Tell what a job would cost; nothing is uploaded, created or billed. The arguments are those of `submit`.

        Raises:
            ModelError: the model can't be tuned, or not in this region.
            HyperparameterError: a name or value that the model does not take.
            DataError: the data has problems.
        """
        target, wanted = resolve_submission(
            self._accounts,
            model,
            data,
            hyperparameters=hyperparameters,
            data_format=data_format,
            record_format=record_format,
        )
        return estimate(target.provider, wanted)

    def preflight(self, model: str | None = None, *, provider: str | None = None) -> list[Check]:
        """Check what can be known before money is spent: credentials, clock, deployment, bucket, role, guard, quotas, model.

        Nothing is changed, and nothing is billed. What the caller may not read is unknown, and the check says so.

        Args:
            model: a base model by any of its names; without one, what every model needs is checked.
            provider: `bedrock` or `openai`; the model's, or `bedrock` if not given.

        Raises:
            ModelError: no base model is called so.
            ConfigError: there is no region to check.
        """
        base = None if model is None else catalog.find(checked("model", model, str))
        if model is not None and base is None:
            raise ModelError(f"no model is called {shortened(model)}: see `tunestack models`")
        named = provider or (BEDROCK if base is None else base.provider)
        return self._accounts.named(named).preflight(base)

    def job(self, job_id: str) -> Job:
        """Attach to a job by its id: on Bedrock its ARN, or its name in the region; at OpenAI `ftjob-...`.

        With `openai/` before it, it is the id of a job of whichever server the client speaks to.

        Raises:
            NotFoundError: there is none.
        """
        account, job_id = self._accounts.of_id("job id", job_id)
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

    def follow(self, jobs: Iterable[Job], timeout: float = TIMEOUT) -> Iterator[Job]:
        """Give out each of many jobs when it has changed, until all have ended: one list a look, however many they are.

        Raises:
            JobTimeoutError: not all have ended after `timeout` seconds; they go on.
        """
        return follow(list(jobs), timeout=timeout, poll=self._poll)

    def wait_all(self, jobs: Iterable[Job], timeout: float = TIMEOUT) -> list[Job]:
        """Wait until all of many jobs have ended, however they do: `job.last.state` tells, `job.require_success()` raises.

        Raises:
            JobTimeoutError: not all have ended after `timeout` seconds; they go on.
        """
        waited_for = list(jobs)
        for _ in self.follow(waited_for, timeout):
            pass
        return waited_for

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Attach to an endpoint by its ARN (also as DSPy calls it, `bedrock/converse/arn:...`), or its name in the region.

        At OpenAI a tuned model is its own endpoint: `ft:...`.

        Raises:
            NotFoundError: there is none.
        """
        account, endpoint_id = self._accounts.of_id("endpoint id", endpoint_id)
        provider = account.provider(endpoint_id)
        return Endpoint(provider, provider.endpoint(endpoint_id), poll=self._poll)

    def endpoints(self, *, model: str = "", provider: str = BEDROCK) -> Iterator[Endpoint]:
        """List the endpoints of the account in the region, of both kinds, or those of one tuned model.

        Args:
            model: only those that serve this one.
            provider: `bedrock` or `openai`; decided by the model if one is given.

        Raises:
            ConfigError: `model` is given and is no text, such as `job.model` of a job that has none, or there is no such
                provider.
        """
        # Checked at once, not at the first endpoint that is asked for.
        model = checked("model", model, str)
        account = self._accounts.of_model(model) if model else self._accounts.named(provider)
        model = account.bare(model)
        return self._endpoints(account.provider(model), model or None)

    def _endpoints(self, provider: Provider, model: str | None) -> Iterator[Endpoint]:
        for info in provider.endpoints(model=model):
            yield Endpoint(provider, info, poll=self._poll)

    def start_endpoint(
        self,
        model: str,
        serving: str = "auto",
        *,
        ttl: timedelta | None = None,
        model_units: int = 1,
        unguarded: bool = False,
        timeout: float = START_TIMEOUT,
    ) -> Endpoint:
        """Start the endpoint of a tuned model, whichever job it is of, and wait until it answers; see `Job.start_endpoint`."""
        timeout = seconds(timeout)
        account, model = self._accounts.of_id("model", model)
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
        account, model = self._accounts.of_id("model", model)
        provider = account.provider(model)
        provider.base(model)
        if serving is not None and serving not in list(provider.ways):
            raise ConfigError(
                f"serving {shortened(serving)} is not possible: use {' or '.join(map(repr, provider.ways))}"
            )
        stop_own(provider, model, serving=serving, poll=self._poll)

    def invoke(self, endpoint_id: str, messages: str | Sequence[Mapping[str, str]]) -> str:
        """Ask an endpoint, by its ARN or name; see `Endpoint.invoke`."""
        return self.endpoint(endpoint_id).invoke(messages)

    def _handle(self, account: Account, provider: Provider, info: JobInfo) -> Job:
        return Job(provider, info, tags=lambda: account.tags(info.id), poll=self._poll)

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
