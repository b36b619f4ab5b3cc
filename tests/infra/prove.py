"""Policies as formulas, and proofs of what they allow: over every action, resource and context, not over examples."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

import z3

EVERYTHING = z3.Star(z3.AllChar(z3.ReSort(z3.StringSort())))
ONE = z3.AllChar(z3.ReSort(z3.StringSort()))
ACTION, RESOURCE = z3.Strings("action resource")


@dataclass(frozen=True)
class Verdict:
    """What came of a proof."""

    proved: bool
    example: str = ""
    """What one allows and the other does not."""
    unknown: bool = False


class Context:
    """The keys of a request: each is there or not, and has a value."""

    def __init__(self):
        self.present, self.values = {}, {}

    def key(self, name):
        name = name.lower()
        if name not in self.values:
            self.present[name] = z3.Bool(f"has {name}")
            self.values[name] = z3.String(name)
        return self.present[name], self.values[name]

    def condition(self, operator, name, wanted):
        """One operator on one key."""
        wanted = wanted if isinstance(wanted, list) else [wanted]
        present, value = self.key(name)
        if operator == "Null":
            return z3.Or(*(present != (str(word).lower() == "true") for word in wanted))
        base = operator.removesuffix("IfExists")
        matched = {
            "StringEquals": lambda word: value == z3.StringVal(str(word)),
            "StringLike": lambda word: like(value, str(word)),
            # Segment by segment on AWS; the same on both sides of every proof here.
            "ArnEquals": lambda word: like(value, str(word)),
            "ArnLike": lambda word: like(value, str(word)),
            "Bool": lambda word: value == z3.StringVal(str(word).lower()),
        }[base]
        found = z3.Or(*map(matched, wanted))
        return z3.Or(z3.Not(present), found) if base != operator else z3.And(present, found)


def like(value, pattern):
    if pattern == "*":
        return z3.BoolVal(val=True)
    if "*" not in pattern and "?" not in pattern:
        return value == z3.StringVal(pattern)
    return z3.InRe(value, _joined(pattern))


def _joined(pattern):
    # One literal for each run of plain characters keeps the solver quick.
    parts, run = [], ""
    for char in pattern:
        if char in "*?":
            if run:
                parts.append(z3.Re(z3.StringVal(run)))
                run = ""
            parts.append(EVERYTHING if char == "*" else ONE)
        else:
            run += char
    if run:
        parts.append(z3.Re(z3.StringVal(run)))
    return z3.Concat(*parts) if len(parts) > 1 else parts[0]


def allows(rows, context):
    """What statements allow, with what they deny taken away."""
    formulas = {"Allow": [], "Deny": []}
    for row in rows:
        if set(row) - {"Effect", "Action", "Resource", "Condition", "Sid"}:
            raise ValueError(f"not understood: {row}")
        formulas[row["Effect"]].append(
            z3.And(
                z3.Or(*(like(ACTION, action.lower()) for action in row["Action"])),
                z3.Or(*(like(RESOURCE, resource) for resource in row["Resource"])),
                *conditions(row, context),
            )
        )
    return z3.And(z3.Or(*formulas["Allow"]), z3.Not(z3.Or(*formulas["Deny"])))


def conditions(row, context):
    return [
        context.condition(operator, key, wanted)
        for operator, keys in row["Condition"].items()
        for key, wanted in keys.items()
    ]


PRINCIPAL_KIND, PRINCIPAL = z3.Strings("kind principal")


def trusts(rows, context):
    """Who a trust policy lets in, and with which action."""
    formulas = []
    for row in rows:
        if row["Effect"] != "Allow" or set(row) - {
            "Effect",
            "Action",
            "Principal",
            "Condition",
            "Sid",
        }:
            raise ValueError(f"not understood: {row}")
        principal = row["Principal"]
        kinds = {"*": ["*"]} if principal == "*" else principal
        who = z3.Or(
            *(
                z3.And(
                    PRINCIPAL_KIND == z3.StringVal(kind) if kind != "*" else True,
                    like(PRINCIPAL, name),
                )
                for kind, names in kinds.items()
                for name in (names if isinstance(names, list) else [names])
            )
        )
        action = z3.Or(*(like(ACTION, action.lower()) for action in row["Action"]))
        formulas.append(z3.And(who, action, *conditions(row, context)))
    return z3.Or(*formulas)


def implies(one, other, *, seconds=60):
    """Prove that whatever one allows, the other does."""
    solver = z3.Solver()
    solver.set("timeout", seconds * 1000)
    solver.add(one, z3.Not(other))
    found = solver.check()
    if found == z3.unsat:
        return Verdict(proved=True)
    if found == z3.unknown:
        return Verdict(proved=False, unknown=True)
    model = solver.model()
    words = {str(name): model[name] for name in model.decls()}
    return Verdict(proved=False, example=str(words))


def same(granted, specified, build):
    """Prove both directions; returns the verdicts of `granted => specified` and of `specified => granted`.

    Likely requests are tried first: an example is as good as the solver's, and found sooner. What they do not tell apart is
    proved, action by action, as each is about few statements; what only wildcards name is one case more.
    """
    for request in likely([*granted, *specified]):
        told = [decided(rows, request) for rows in (granted, specified)]
        if told[0] != told[1]:
            shown = Verdict(proved=False, example=str(request))
            fine = Verdict(proved=True)
            return [shown, fine] if told[0] else [fine, shown]
    both = [*granted, *specified]
    named = sorted(
        {action.lower() for row in both for action in row["Action"] if "*" not in action}
    )
    cases = [
        (f"{action}: ", [about(rows, action) for rows in (granted, specified)], True)
        for action in named
    ]
    wild = [
        [only_wild(row) for row in rows if only_wild(row)["Action"]]
        for rows in (granted, specified)
    ]
    unnamed = z3.And(*(ACTION != z3.StringVal(action) for action in named))
    cases.append(("other actions: ", wild, unnamed))
    verdicts = [[], []]
    for what, (one, other), among in cases:
        context = Context()
        formulas = build(one, context), build(other, context)
        for number, (left, right) in enumerate((formulas, formulas[::-1])):
            verdict = implies(z3.And(left, among), right)
            verdicts[number].append(verdict)
            if not verdict.proved:
                verdicts[number][-1] = Verdict(
                    proved=False, unknown=verdict.unknown, example=what + verdict.example
                )
    return [next((one for one in some if not one.proved), some[0]) for some in verdicts]


def likely(rows):
    """Requests that are about a statement: as it asks for, or with one thing missing or wrong."""
    for row in rows:
        asked = {
            (operator, key): [str(word).replace("*", "x") for word in aslist(wanted)]
            for operator, keys in row["Condition"].items()
            for key, wanted in keys.items()
        }
        fitting = {}
        for (operator, key), words in asked.items():
            if operator != "Null":
                fitting[key.lower()] = words[0]
            elif words[0] == "false":
                fitting.setdefault(key.lower(), "there")
        contexts = [fitting, {}]
        for key in fitting:
            contexts += [{**fitting, key: "other"}, {k: v for k, v in fitting.items() if k != key}]
        contexts += [
            {**fitting, key.lower(): word} for (_, key), words in asked.items() for word in words
        ]
        targets = [*row.get("Resource", []), *principals(row)]
        for action in row["Action"]:
            for target in [*targets, "arn:other", ("Other", "other")]:
                for context in contexts:
                    name = target if isinstance(target, str) else (target[0], filled(target[1]))
                    yield filled(action).lower(), filled(name), context


def filled(pattern):
    return pattern.replace("*", "x") if isinstance(pattern, str) else pattern


def principals(row):
    found = row.get("Principal", {})
    found = {"*": "*"} if found == "*" else found
    return [(kind, name) for kind, names in found.items() for name in aslist(names)]


def decided(rows, request):
    """Decide one request, plainly."""
    effects = {row["Effect"] for row in rows if applies(row, *request)}
    return "Allow" in effects and "Deny" not in effects


def applies(row, action, target, context):
    if not any(fnmatchcase(action, pattern.lower()) for pattern in row["Action"]):
        return False
    if "Principal" in row:
        kind, name = target if isinstance(target, tuple) else ("", target)
        if not any(
            wanted in ("*", kind) and fnmatchcase(name, pattern)
            for wanted, pattern in principals(row)
        ):
            return False
    elif not isinstance(target, str) or not any(
        fnmatchcase(target, pattern) for pattern in row["Resource"]
    ):
        return False
    return all(
        holds(operator, context.get(key.lower()), aslist(wanted))
        for operator, keys in row["Condition"].items()
        for key, wanted in keys.items()
    )


def holds(operator, value, wanted):
    if operator == "Null":
        return any((value is None) == (str(word).lower() == "true") for word in wanted)
    if value is None:
        return operator.endswith("IfExists")
    exact = operator.startswith(("StringEquals", "Bool"))
    return any(value == str(word) if exact else fnmatchcase(value, str(word)) for word in wanted)


def aslist(value):
    return value if isinstance(value, list) else [value]


def about(rows, action):
    """The statements that name an action, for any."""
    return [
        {**row, "Action": ["*"]}
        for row in rows
        if any(fnmatchcase(action, pattern.lower()) for pattern in row["Action"])
    ]


def only_wild(row):
    return {**row, "Action": [action for action in row["Action"] if "*" in action]}
