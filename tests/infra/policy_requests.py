"""Single requests: generate likely ones from the statements of a policy, and decide whether statements allow one."""

from fnmatch import fnmatchcase

from tests.infra.resolver import as_list


def generate_requests(statements):
    """Yield requests that match a statement, and requests with one condition key missing or wrong.

    A request is an action, a resource or a principal (kind and name), and a context.
    """
    for row in statements:
        targets = [*row.get("Resource", []), *get_principals(row), "arn:other", ("Other", "other")]
        contexts = generate_contexts(row)
        for action in row["Action"]:
            for target in targets:
                for context in contexts:
                    name = (
                        fill_pattern(target)
                        if isinstance(target, str)
                        else (target[0], fill_pattern(target[1]))
                    )
                    yield fill_pattern(action).lower(), name, context


def generate_contexts(row):
    conditions = {
        (operator, key): [fill_pattern(str(value)) for value in as_list(values)]
        for operator, keys in row["Condition"].items()
        for key, values in keys.items()
    }
    matching = {}
    for (operator, key), values in conditions.items():
        if operator != "Null":
            matching[key.lower()] = values[0]
        elif values[0] == "false":
            matching.setdefault(key.lower(), "present")
    contexts = [matching, {}]
    for key in matching:
        without_key = {name: value for name, value in matching.items() if name != key}
        contexts += [{**matching, key: "other"}, without_key]
    contexts += [
        {**matching, key.lower(): value}
        for (_, key), values in conditions.items()
        for value in values
    ]
    return contexts


def fill_pattern(pattern):
    return pattern.replace("*", "x")


def get_principals(row):
    principals = row.get("Principal", {})
    principals = {"*": "*"} if principals == "*" else principals
    return [(kind, name) for kind, names in principals.items() for name in as_list(names)]


def decide(statements, request):
    """Return whether statements allow a request, and none denies it."""
    effects = {row["Effect"] for row in statements if is_match(row, *request)}
    return "Allow" in effects and "Deny" not in effects


def is_match(row, action, target, context):
    if not any(fnmatchcase(action, pattern.lower()) for pattern in row["Action"]):
        return False
    if "Principal" in row:
        kind, name = target if isinstance(target, tuple) else ("", target)
        if not any(
            expected in ("*", kind) and fnmatchcase(name, pattern)
            for expected, pattern in get_principals(row)
        ):
            return False
    elif not isinstance(target, str) or not any(
        fnmatchcase(target, pattern) for pattern in row["Resource"]
    ):
        return False
    return all(
        is_condition_met(operator, context.get(key.lower()), as_list(expected))
        for operator, keys in row["Condition"].items()
        for key, expected in keys.items()
    )


def is_condition_met(operator, value, expected):
    if operator == "Null":
        return any((value is None) == (str(item).lower() == "true") for item in expected)
    if value is None:
        return operator.endswith("IfExists")
    if operator.startswith(("StringEquals", "Bool")):
        return value in map(str, expected)
    return any(fnmatchcase(value, str(item)) for item in expected)
