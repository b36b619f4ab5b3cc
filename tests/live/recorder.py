"""Records requests and responses of AWS clients as a cassette: JSON lines without account IDs, request IDs and content.

Values are recorded for Bedrock only, and of lists only the rows of the run. Of other services, the operation, the names of
the parameters and of the members of the response, the status and the error are recorded.
"""

import json
import re
from datetime import UTC, datetime

VERSION = 1
SERVICES_WITH_VALUES = ("bedrock", "bedrock-runtime")
CONTENT = "<content>"
_CONTENT_KEYS = frozenset({"body", "content", "system", "text"})
_PRINCIPAL = re.compile(r"arn:aws[\w-]*:(?:iam|sts)::[^:]*:(?:assumed-role|user|role)/[^\s\"']+")
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+\.[^\s@\"'<>]+")
_RESOURCE_ID = re.compile(r"(?<=/)(?![0-9]{12}\b)[a-z0-9]{12}(?=$|[\s\"'.,/])")


class Redactor:
    """Replaces values that identify an account by placeholders, the same value always by the same placeholder."""

    def __init__(self, names=()):
        """Create a redactor.

        Args:
            names: values and placeholders, such as the bucket and `<bucket>`.
        """
        self.names = dict(names)
        self.ids: dict[str, str] = {}

    def redact(self, value, *, learn=False):
        """Return a JSON value without identifying values. With `learn`, IDs of resources that are new get a placeholder."""
        match value:
            case dict():
                return {
                    key: CONTENT if key in _CONTENT_KEYS else self.redact(item, learn=learn)
                    for key, item in value.items()
                    if key != "ResponseMetadata"
                }
            case list() | tuple():
                return [self.redact(item, learn=learn) for item in value]
            case str():
                return self._redact_text(value, learn=learn)
            case datetime():
                return "<time>"
            case bool() | int() | float() | None:
                return value
        return CONTENT

    def _redact_text(self, text, *, learn):
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, self.names[name])
        text = _PRINCIPAL.sub("<principal>", text)
        text = _UUID.sub("<uuid>", _ACCESS_KEY.sub("<access-key>", _EMAIL.sub("<email>", text)))
        text = _RESOURCE_ID.sub(lambda match: self._get_id(match[0], learn=learn), text)
        return _ACCOUNT.sub("<account>", text)

    def _get_id(self, identifier, *, learn):
        if learn and identifier not in self.ids:
            self.ids[identifier] = f"<id-{len(self.ids) + 1}>"
        return self.ids.get(identifier, "<other>")

    def restore(self, value):
        """Replace placeholders by the values that they stand for."""
        text = json.dumps(value)
        for name, placeholder in {**self.names, **self.ids}.items():
            text = text.replace(placeholder, name)
        return json.loads(text)


def list_keys(value, path=""):
    """Return the paths of all members of a response, such as `statusDetails.trainingDetails.status` and `tags[].key`."""
    if isinstance(value, dict):
        nested = [list_keys(item, f"{path}.{key}" if path else key) for key, item in value.items()]
        return {f"{path}.{key}" if path else key for key in value}.union(*nested)
    if isinstance(value, list):
        return set().union(*(list_keys(item, f"{path}[]") for item in value))
    return set()


class Recorder:
    """Writes a cassette."""

    def __init__(self, path, redactor, header):
        """Create the file, with a header as its first line."""
        self._redactor = redactor
        self._path = path
        self._last = None
        self.step = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("")
        self._write({"cassette": VERSION, "recorded": datetime.now(UTC).isoformat()} | header)

    def watch(self, session, role):
        """Record all requests of the clients that a boto3 session creates from now on."""
        session.events.register("provide-client-params", self._keep_params)
        session.events.register("after-call", lambda **event: self._record(role, **event))

    def write_verdict(self, **verdict):
        """Add the result of one assumption."""
        self._write(self._redactor.redact(verdict))

    def _keep_params(self, params, context, **_):
        context["live_params"] = dict(params)

    def _record(self, role, *, http_response, parsed, model, context, **_):
        service = model.service_model.service_name
        error = parsed.get("Error", {})
        params, answer = context.get("live_params", {}), parsed
        if error:
            answer = {
                key: value for key, value in parsed.items() if key not in ("Error", "message")
            }
        is_list = model.name.startswith("List")
        if service in SERVICES_WITH_VALUES:
            params = self._redactor.redact(params)
            # Nothing is learned from requests that are not recorded: a replay would number the placeholders differently.
            learns = not is_list and not _is_of_others(params)
            answer = self._redactor.redact(answer, learn=learns)
            if is_list and model.name != "ListFoundationModels":
                answer = _select_rows(answer, {*self._redactor.names.values()})
        else:
            params = sorted(params)
            answer = sorted(key for key in answer if key != "ResponseMetadata")
        self._write(
            {
                "step": self.step,
                "as": role,
                "service": service,
                "operation": model.name,
                "params": params,
                "status": http_response.status_code,
                "code": error.get("Code"),
                "message": self._redactor.redact(error.get("Message")),
                "answer": answer,
            }
        )

    def _write(self, entry):
        line = json.dumps(entry, sort_keys=True)
        is_poll = entry.get("operation", "").startswith(("Get", "List", "Receive"))
        # A poll that returns the same again is recorded once, and requests about resources of others never.
        if (line != self._last or not is_poll) and not _is_of_others(entry.get("params")):
            with self._path.open("a") as file:
                file.write(line + "\n")
        self._last = line


def _is_of_others(params):
    return "<other>" in str(params)


def _select_rows(answer, names):
    """Keep only the rows of a list that mention the run or a resource of it."""

    def is_own(row):
        text = json.dumps(row)
        return "<id-" in text or any(
            name in text for name in names if name in ("<stage>", "<bucket>")
        )

    return {
        key: [row for row in value if is_own(row)] if isinstance(value, list) else value
        for key, value in answer.items()
        if key != "nextToken"
    }
