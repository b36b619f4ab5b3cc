"""The directive `generated`: tables that are made from the code and from the synthesized template."""

import inspect
import json
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils.nodes import Node, container
from docutils.statemachine import StringList
from links import ROOT
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TEMPLATE = ROOT / "sandbox/src/tunestack_sandbox/templates/Tunestack-dev-us-east-1.template.json"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    names = list(header)
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def code(text: str) -> str:
    """Return inline code."""
    return f"`{text.replace('`', '')}`"


def as_list(value: Any) -> list[Any]:
    """Return a value of a policy as a list."""
    return value if isinstance(value, list) else [value]


def render(value: Any) -> str:
    """Return the text of a value of CloudFormation."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(render(part) for part in parts)
        case {"Ref": str(name)}:
            pseudo = name.removeprefix("AWS::")
            return f"${{{pseudo if pseudo != name else re.sub('[0-9A-F]{8}$', '', name)}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{re.sub('[0-9A-F]{8}$', '', name)}.{attribute}}}"
    text = str(value)
    return text.replace("arn:${Partition}:", "arn:")


def shorten_arn(text: str) -> str:
    """Return an ARN without partition, region and account, which are those of the stack."""
    text = text.replace("arn:${Partition}:", "")
    for owner in ("${Region}:${AccountId}:", ":${AccountId}:", "${Region}::", "::"):
        service, found, rest = text.partition(f":{owner}")
        if found:
            return f"{service}: {rest}"
    return text


def render_condition(statement: dict[str, Any]) -> str:
    """Return the conditions of a statement."""
    return "<br>".join(
        code(f"{key} {operator} {', '.join(shorten_arn(render(one)) for one in as_list(values))}")
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def make_iam() -> Iterable[str]:
    """Return the statements of each policy of the synthesized template."""
    resources = json.loads(TEMPLATE.read_text(encoding="utf-8"))["Resources"]
    titles = {
        "AccessTuner": "Policy: tuner",
        "AccessInvoker": "Policy: invoker",
        "AccessViewer": "Policy: viewer",
        "AccessRunner": "Policy: runner",
        "AmazonBedrockJob": "Job role",
        "Guard": "Endpoint guard",
        "GuardScheduler": "Role of the schedules",
        "Runs": "State machine of runs",
    }

    def find_title(name: str) -> str:
        matches = [prefix for prefix in titles if name.startswith(prefix)]
        return titles[max(matches, key=len)] if matches else re.sub("[0-9A-F]{8}$", "", name)

    roles = {n: r for n, r in resources.items() if r["Type"] == "AWS::IAM::Role"}
    policies = {n: r for n, r in resources.items() if r["Type"] == "AWS::IAM::ManagedPolicy"}
    order = list(titles.values())
    rank = {title: number for number, title in enumerate(order)}
    for name, policy in sorted(
        policies.items(), key=lambda item: rank.get(find_title(item[0]), len(rank))
    ):
        yield from ("", f"### {find_title(name)}", "")
        for role in policy["Properties"].get("Roles", []):
            trust = roles[role["Ref"]]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            for statement in trust:
                services = ", ".join(
                    code(render(one)) for one in as_list(statement["Principal"]["Service"])
                )
                condition = render_condition(statement)
                yield f"Assumed by {services}{', if ' if condition else ''}{condition.replace('<br>', ' and ')}."
                yield ""
        statements = policy["Properties"]["PolicyDocument"]["Statement"]
        yield from table(("actions", "resources and conditions"), map(render_statement, statements))


def render_statement(statement: dict[str, Any]) -> tuple[str, str]:
    """Return the cells of a statement."""
    actions = [code(action) for action in as_list(statement["Action"])]
    resources = [code(shorten_arn(render(one))) for one in as_list(statement["Resource"])]
    condition = render_condition(statement)
    if statement["Effect"] == "Deny":
        actions.insert(0, "**Deny**")
    if condition:
        resources.append(f"if {condition.replace('<br>', '<br>and ')}")
    return "<br>".join(actions), "<br>".join(resources)


def make_resources() -> Iterable[str]:
    """Return the number of resources of each type in the synthesized template."""
    resources = json.loads(TEMPLATE.read_text(encoding="utf-8"))["Resources"]
    names: dict[str, list[str]] = {}
    for name, resource in resources.items():
        names.setdefault(resource["Type"], []).append(re.sub("[0-9A-F]{8}$", "", name))
    return table(
        ("type", "logical ids, without their hash"),
        ((code(kind), ", ".join(map(code, sorted(names[kind])))) for kind in sorted(names)),
    )


def make_errors() -> Iterable[str]:
    """Return the exceptions, with the exit codes of the command line."""
    from tunestack import errors  # noqa: PLC0415 - loaded when a page needs it
    from tunestack.cli.output import exit_code  # noqa: PLC0415 - the same

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.TunestackError)
    ]
    return table(
        ("error", "is a", "meaning", "exit code"),
        (
            (
                f"[`{kind.__name__}`](#tunestack.{kind.__name__})",
                ", ".join(code(base.__name__) for base in kind.__bases__),
                first_paragraph(kind),
                str(exit_code(kind.__new__(kind))),
            )
            for kind in kinds
        ),
    )


def first_paragraph(kind: type) -> str:
    """Return the first paragraph of a docstring."""
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def make_aws_messages() -> Iterable[str]:
    """Return the messages of Bedrock that have a remedy of their own."""
    from tunestack.backends.bedrock import known_messages as known  # noqa: PLC0415

    rows = [
        (row.pattern, f"[`{row.kind.__name__}`](#tunestack.{row.kind.__name__})", row.remedy)
        for row in known._REFUSALS  # noqa: SLF001 - the only source
    ]
    rows += [
        (pattern, "[`JobFailedError`](#tunestack.JobFailedError)", remedy)
        for pattern, remedy in known._FAILURES  # noqa: SLF001 - the only source
    ]
    return table(
        ("the message of Bedrock contains", "error", "what to do"),
        (
            (
                ", ".join(code(simplify(part)) for part in pattern.pattern.split("|")),
                kind,
                escape(remedy),
            )
            for pattern, kind, remedy in rows
        ),
    )


def simplify(pattern: str) -> str:
    """Return the text that a simple pattern matches."""
    return pattern.replace(r"\b", "").replace("n.t", "n't")


def escape(text: str) -> str:
    """Return a text whose asterisks and angle brackets are no Markdown."""
    return re.sub(r"([*<>])", r"\\\1", text)


def make_aws_codes() -> Iterable[str]:
    """Return the error codes of AWS, with the error and what to do."""
    from tunestack.backends.bedrock.errors import CODES  # noqa: PLC0415

    rows: dict[tuple[str, str], list[str]] = {}
    for name, (kind, remedy) in CODES.items():
        rows.setdefault((kind.__name__, remedy), []).append(name)
    return table(
        ("code", "error", "what to do"),
        (
            (
                ", ".join(map(code, names)),
                f"[`{kind}`](#tunestack.{kind})",
                escape(remedy) or "see the message",
            )
            for (kind, remedy), names in rows.items()
        ),
    )


def make_openai_codes() -> Iterable[str]:
    """Return the errors of OpenAI, with the error and what to do."""
    from tunestack.backends.openai.errors import BY_CLASS, BY_CODE  # noqa: PLC0415

    rows = [(f"openai.{kind.__name__}", row) for kind, row in BY_CLASS.items()]
    return table(
        ("class or code", "error", "what to do"),
        (
            (code(name), f"[`{kind.__name__}`](#tunestack.{kind.__name__})", escape(remedy))
            for name, (kind, remedy) in [*BY_CODE.items(), *rows]
        ),
    )


def list_models() -> list[Any]:
    """Return the models that could be fine-tuned when the sources of the catalog were read."""
    from tunestack.catalog import CATALOG, LifecycleState  # noqa: PLC0415

    return [
        model
        for model in CATALOG
        if model.unsupported is None and model.lifecycle.state(model.seen) == LifecycleState.ACTIVE
    ]


def make_models() -> Iterable[str]:
    """Return the models with their formats and limits."""
    return table(
        ("model", "regions", "endpoints", "record format", "records"),
        (
            (
                code(model.key),
                ", ".join(model.regions) or model.provider,
                ", ".join(serving.value for serving in model.serving),
                code(model.record_format.value),
                render_records(model.limits),
            )
            for model in list_models()
        ),
    )


def make_hyperparameters() -> Iterable[str]:
    """Return the hyperparameters; models with the same ones share a row."""
    models: dict[tuple[str, ...], list[str]] = {}
    for model in list_models():
        texts = tuple(map(render_hyperparameter, model.hyperparameters.values()))
        models.setdefault(texts, []).append(code(model.key))
    rows = (("<br>".join(names), "<br>".join(texts)) for texts, names in models.items())
    return table(("models", "hyperparameters: range (default)"), rows)


def render_records(limits: Any) -> str:
    """Return how many records a training file can have."""
    low, high = limits.min_records or 1, limits.max_records
    text = f"at least {low:,}" if high is None else f"{low:,} to {high:,}"
    advised = limits.validator_min_records
    return f"{text}; use at least {advised:,}" if advised else text


def render_hyperparameter(parameter: Any) -> str:
    """Return the name, range and default of a hyperparameter."""
    default = "auto" if parameter.auto else parameter.default
    text = f"{code(parameter.name)} {parameter.min:g} to {parameter.max:g}"
    return text if default is None else f"{text} ({default})"


def make_prices() -> Iterable[str]:
    """Return the models with the prices of the catalog."""

    def price(model: Any, kind: str) -> str:
        return f"${model.prices[kind].usd:,.2f}" if kind in model.prices else "unknown"

    return table(
        (
            *("model", "endpoints", "training, per million tokens trained"),
            *("custom model, per month", "provisioned throughput, per hour and unit"),
        ),
        (
            (
                code(model.key),
                ", ".join(serving.value for serving in model.serving),
                price(model, "training"),
                price(model, "storage") if model.provider == "bedrock" else "",
                price(model, "provisioned") if "provisioned" in model.serving else "",
            )
            for model in list_models()
        ),
    )


def make_api(module: str, page: str) -> Iterable[str]:
    """Return the documentation of a module and of the names that it exports, except what the page already has."""
    package = import_module(module)
    shown = set(re.findall(r"^\.\. auto\w+:: (\S+)", page, re.MULTILINE))
    top = import_module("tunestack")
    elsewhere = [] if package is top else [getattr(top, name) for name in top.__all__]
    yield "```{eval-rst}"
    if module not in shown:
        yield from (f".. automodule:: {module}", "   :no-members:", "")
    for name in package.__all__:
        item = getattr(package, name)
        if f"{module}.{name}" not in shown and not any(item is other for other in elsewhere):
            kind = kind_of(item)
            options = _OPTIONS.get(kind, [])
            yield from (f".. auto{kind}:: {module}.{name}", *options, "")
    yield "```"


_OPTIONS = {"exception": ["   :show-inheritance:"], "data": ["   :no-value:"]}


def kind_of(item: object) -> str:
    """Return the name of the directive of autodoc for an object, without `auto`."""
    if isinstance(item, type):
        return "exception" if issubclass(item, BaseException) else "class"
    if inspect.ismodule(item):
        return "module"
    return "function" if callable(item) else "data"


GENERATORS: dict[str, Callable[[], Iterable[str]]] = {
    name.removeprefix("make_").replace("_", "-"): function
    for name, function in list(globals().items())
    if name.startswith("make_") and name != "make_api"
}


class Generated(SphinxDirective):
    """Insert generated Markdown: the argument is a name of `GENERATORS`, or `api` and a module."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[Node]:
        """Parse the Markdown as a part of the page."""
        name, *modules = self.arguments
        if name == "api" and modules:
            page = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
            text = make_api(modules[0], page)
        elif name in GENERATORS:
            text = GENERATORS[name]()
        else:
            raise self.error(f"unknown table {name!r}: use api, {', '.join(GENERATORS)}")
        node = container()
        lines = StringList(list(text), source=f"<{name}>")
        self.state.nested_parse(lines, self.content_offset, node, match_titles=True)
        return node.children


def setup(app: "Sphinx") -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True}
