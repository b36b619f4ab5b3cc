"""The likeliest mistakes on the command line: what is typed, what is printed, and commands that fix it."""

from dataclasses import dataclass

JOB_ARN = "arn:aws:bedrock:{}:{}:model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl"
SUBMIT = "submit train.jsonl -m nova-micro"
LIST_JOBS = "`tunestack jobs list` lists the jobs in this region; for another region, add --region"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A command line that is an error."""

    line: str
    code: int
    parts: tuple[str, ...]
    """Parts of the message: the mistake, and what to do."""
    fix: tuple[str, ...]
    """Commands that the user runs next; JOB, MODEL and ENDPOINT are those of a job that has succeeded."""


MISTAKES = {
    "misspelt model": Mistake(
        line="submit train.jsonl -m nova-mirco",
        code=2,
        parts=("unknown model 'nova-mirco': did you mean 'nova-micro'?",),
        fix=(SUBMIT,),
    ),
    "unknown model": Mistake(
        line="submit train.jsonl -m gpt-9",
        code=2,
        parts=("unknown model 'gpt-9': models that can be fine-tuned today: nova-micro,",),
        fix=("models list", SUBMIT),
    ),
    "retired model": Mistake(
        line="submit train.jsonl -m claude-3-haiku",
        code=2,
        parts=("it was retired on 2026-09-10; models that can be fine-tuned today: nova-micro",),
        fix=(SUBMIT,),
    ),
    "swapped arguments": Mistake(
        line="submit nova-micro train.jsonl",
        code=2,
        parts=(
            "'nova-micro' is a base model, not a file",
            "pass the file first, and the model as --model nova-micro",
        ),
        fix=("submit train.jsonl --model nova-micro",),
    ),
    "no model": Mistake(
        line="submit train.jsonl",
        code=2,
        parts=("Missing option '--model'", "such as --model nova-micro", "`tunestack models list`"),
        fix=("models list", "submit train.jsonl --model nova-micro"),
    ),
    "misspelt file": Mistake(
        line="submit trian.jsonl -m nova-micro",
        code=2,
        parts=("'trian.jsonl' does not exist: did you mean 'train.jsonl'?",),
        fix=(SUBMIT,),
    ),
    "missing folder": Mistake(
        line="submit data/train.jsonl -m nova-micro",
        code=2,
        parts=("'data/train.jsonl' does not exist: the folder 'data' can't be read",),
        fix=(SUBMIT,),
    ),
    "folder": Mistake(
        line="submit folder -m nova-micro",
        code=1,
        parts=("'folder' is a folder: pass a file",),
        fix=("submit folder/train.jsonl -m nova-micro",),
    ),
    "empty file": Mistake(
        line="submit empty.jsonl -m nova-micro",
        code=1,
        parts=("training data has 0 records, the minimum of Nova Micro is 8",),
        fix=(SUBMIT,),
    ),
    "not JSON": Mistake(
        line="submit text.jsonl -m nova-micro",
        code=1,
        parts=("invalid JSON", "`tunestack data report FILE --model MODEL` shows all problems"),
        fix=("data report text.jsonl --model nova-micro", SUBMIT),
    ),
    "no answer to learn": Mistake(
        line="submit questions.jsonl -m nova-micro",
        code=1,
        parts=("the last message must be the assistant message that the model learns",),
        fix=("data report questions.jsonl --model nova-micro", SUBMIT),
    ),
    "stage that is not deployed": Mistake(
        line=f"{SUBMIT} --stage prod",
        code=2,
        parts=(
            "stage 'prod' is not deployed in us-east-1",
            'deployed stages: dev. Use stage="dev" (--stage dev)',
            "or run `cdk deploy` for 'prod', or set TUNESTACK_DEPLOYMENT",
        ),
        fix=(f"{SUBMIT} --stage dev",),
    ),
    "misspelt stage": Mistake(
        line=f"{SUBMIT} --stage dve",
        code=2,
        parts=('deployed stages: dev. Use stage="dev" (--stage dev)',),
        fix=(f"{SUBMIT} --stage dev",),
    ),
    "region without the model": Mistake(
        line=f"{SUBMIT} --region us-west-2",
        code=2,
        parts=("can't be fine-tuned in us-west-2, only in us-east-1", "--region us-east-1"),
        fix=(f"{SUBMIT} --region us-east-1",),
    ),
    "invalid region": Mistake(
        line=f"{SUBMIT} --region useast1",
        code=2,
        parts=("invalid region 'useast1'", "such as us-east-1"),
        fix=(f"{SUBMIT} --region us-east-1",),
    ),
    "misspelt hyperparameter": Mistake(
        line=f"{SUBMIT} -p epochs=3",
        code=2,
        parts=("unknown hyperparameter 'epochs': did you mean 'epochCount'?",),
        fix=(f"{SUBMIT} -p epochCount=3",),
    ),
    "hyperparameter out of range": Mistake(
        line=f"{SUBMIT} -p epochCount=99",
        code=2,
        parts=("epochCount='99' is out of range: use an integer from 1 to 5 (default 2)",),
        fix=(f"{SUBMIT} -p epochCount=5",),
    ),
    "hyperparameter that is not a number": Mistake(
        line=f"{SUBMIT} -p epochCount=three",
        code=2,
        parts=("epochCount='three' is not a number: use an integer from 1 to 5",),
        fix=(f"{SUBMIT} -p epochCount=3",),
    ),
    "cost above the limit": Mistake(
        line=f"{SUBMIT} --max-cost 0.0001",
        code=2,
        parts=("more than max_cost $0.0001: use fewer epochs or less data, or raise max_cost",),
        fix=(f"{SUBMIT} --max-cost 1", f"{SUBMIT} -p epochCount=1"),
    ),
    "unknown job": Mistake(
        line="jobs show tickets-123",
        code=3,
        parts=("'tickets-123'", LIST_JOBS),
        fix=("jobs list", "jobs show JOB"),
    ),
    "job of another region": Mistake(
        line=f"jobs show {JOB_ARN.format('us-west-2', '123456789012')}",
        code=3,
        parts=(
            "us-west-2",
            "`tunestack jobs list --region us-west-2` lists the jobs in the region of the ARN",
        ),
        fix=("jobs list --region us-west-2", "jobs show JOB"),
    ),
    "job of another account": Mistake(
        line=f"jobs show {JOB_ARN.format('us-east-1', '999999999999')}",
        code=3,
        parts=(
            "belongs to account 999999999999, the credentials to account 123456789012",
            "AWS_PROFILE",
        ),
        fix=("jobs list", "jobs show JOB"),
    ),
    "job id of the wrong kind": Mistake(
        line=f"jobs show {JOB_ARN.format('us-east-1', '123456789012').replace('model-customization-job', 'custom-model')}",
        code=2,
        parts=(
            "it is the ARN of a fine-tuned model: expected the ARN or name of a fine-tuning job",
        ),
        fix=("jobs list", "jobs show JOB"),
    ),
    "unknown job at OpenAI": Mistake(
        line="jobs show ftjob-abc",
        code=3,
        parts=("'ftjob-abc'", "check the id", "`tunestack jobs list --provider openai`"),
        fix=("jobs list --provider openai",),
    ),
    "unknown endpoint": Mistake(
        line="endpoints invoke nothing hello",
        code=3,
        parts=("'nothing'", "`tunestack endpoints list` lists the endpoints in this region"),
        fix=("endpoints list", "endpoints invoke ENDPOINT hello"),
    ),
    "invoke without an endpoint": Mistake(
        line="endpoints invoke latest hello",
        code=3,
        parts=("this region has no endpoints: start one with `tunestack endpoints start JOB`",),
        fix=("endpoints start JOB", "endpoints invoke latest hello"),
    ),
    "start without a job": Mistake(
        line="endpoints start latest",
        code=3,
        parts=("this region has no jobs: submit one with `tunestack submit FILE --model MODEL`",),
        fix=("submit train.jsonl --model nova-micro", "endpoints start latest"),
    ),
    "duration without a unit": Mistake(
        line="endpoints start latest --ttl 4",
        code=2,
        parts=("'4' is not a duration: use 30s, 90m, 4h or 2d",),
        fix=("endpoints start JOB --ttl 4h",),
    ),
    "unknown state": Mistake(
        line="jobs list --state done",
        code=2,
        parts=("'done' is not one of 'pending', 'running'",),
        fix=("jobs list --state succeeded",),
    ),
    "misspelt option": Mistake(
        line="jobs list --jsno",
        code=2,
        parts=("No such option '--jsno'", "'--json'"),
        fix=("jobs list --json",),
    ),
    "misspelt command": Mistake(
        line="jbos list",
        code=2,
        parts=("no such command 'jbos': did you mean 'tunestack jobs'?",),
        fix=("jobs list",),
    ),
    "misspelt subcommand": Mistake(
        line="jobs lsit",
        code=2,
        parts=("did you mean 'tunestack jobs list'?",),
        fix=("jobs list",),
    ),
    "tag without a value": Mistake(
        line=f"{SUBMIT} --tag team",
        code=2,
        parts=("'team' is not NAME=VALUE",),
        fix=(f"{SUBMIT} --tag team=support",),
    ),
    "deletion in a script": Mistake(
        line="custom-models delete m",
        code=2,
        parts=("standard input is not a terminal: confirm the deletion with --yes",),
        fix=("custom-models delete MODEL --yes",),
    ),
}
