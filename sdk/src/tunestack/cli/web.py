"""`--web`: the pages of the AWS console and of OpenAI's dashboard."""

from __future__ import annotations

import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from tunestack.backends.bedrock.arn import Arn
from tunestack.backends.openai.identifiers import JOB_PREFIX, MODEL_PREFIX
from tunestack.cli.output import is_text, note, out, write
from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

_DOMAINS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
# Those with an ARN are used by AWS's sample notebooks for fine-tuning on Bedrock. The page of custom models also lists jobs and
# deployments. Their own pages have no known addresses: neither AWS's documentation nor its samples have one.
_PAGES = {
    "model-customization-job": "custom-models",
    "custom-model-deployment": "custom-models",
    "custom-model": "custom-models/item?arn={arn}",
    "provisioned-model": "provisioned-throughput/details?arn={arn}",
}
_OPENAI = "https://platform.openai.com/finetune"

web_option = click.option(
    "--web",
    is_flag=True,
    help="Open the page in the AWS console or OpenAI's dashboard; in a pipe, only print its address.",
)


def page_url(identifier: str, model: str | None = None) -> str:
    """Return the address of the page of a job, an endpoint or a custom model.

    Args:
        identifier: the id.
        model: the custom model of a job or endpoint. Its page is returned if Bedrock has no known page for them.

    Raises:
        ConfigError: it belongs to an OpenAI-compatible server.
    """
    arn = Arn.parse(identifier)
    if model is not None and arn is not None and "{arn}" not in _PAGES.get(arn.resource_type, ""):
        return page_url(model)
    if arn is not None and arn.partition in _DOMAINS and arn.resource_type in _PAGES:
        page = _PAGES[arn.resource_type].format(arn=arn)
        return f"https://{arn.region}.{_DOMAINS[arn.partition]}/bedrock/home?region={arn.region}#/{page}"
    if identifier.startswith(JOB_PREFIX):
        return f"{_OPENAI}/{identifier}"
    if identifier.startswith(MODEL_PREFIX):
        return _OPENAI
    raise ConfigError(f"the page of {identifier!r} is unknown: --web works for AWS and OpenAI")


def open_pages(items: Iterable[tuple[str, str | None]]) -> None:
    """Print the addresses of pages and, in a terminal, open them in the browser.

    Args:
        items: the arguments of `page_url`.
    """
    for identifier, model in items:
        url = page_url(identifier, model)
        if is_text():
            out(url)
        else:
            write({"id": identifier, "url": url})
        if sys.stdout.isatty() and not webbrowser.open(url):
            note("no browser was found: open the address above", level="warning")
