"""Policies as formulas, and proofs with Z3 that two policies allow the same: for every action, resource and context."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import z3

from tests.infra.policy_requests import decide, generate_requests
from tests.infra.resolver import as_list

ANY_TEXT = z3.Star(z3.AllChar(z3.ReSort(z3.StringSort())))
ANY_CHARACTER = z3.AllChar(z3.ReSort(z3.StringSort()))
ACTION, RESOURCE = z3.Strings("action resource")
PRINCIPAL_KIND, PRINCIPAL = z3.Strings("kind principal")
IDENTITY_KEYS = {"Effect", "Action", "Resource", "Condition", "Sid"}
TRUST_KEYS = {"Effect", "Action", "Principal", "Condition", "Sid"}


@dataclass(frozen=True)
class Verdict:
    """The result of a proof."""

    is_proved: bool
    counterexample: str = ""
    """A request that one policy allows and the other does not."""
    is_unknown: bool = False


class Context:
    """The condition keys of a request: each is present or absent, and has a value."""

    def __init__(self):
        self.present, self.values = {}, {}

    def get_key(self, name):
        name = name.lower()
        if name not in self.values:
            self.present[name] = z3.Bool(f"has {name}")
            self.values[name] = z3.String(name)
        return self.present[name], self.values[name]

    def build_condition(self, operator, name, expected):
        """Build the formula of one operator on one key."""
        present, value = self.get_key(name)
        if operator == "Null":
            return z3.Or(*(present != (str(item).lower() == "true") for item in as_list(expected)))
        base = operator.removesuffix("IfExists")
        build = {
            "StringEquals": lambda item: value == z3.StringVal(str(item)),
            "StringLike": lambda item: match_pattern(value, str(item)),
            # AWS compares ARNs segment by segment. Both sides of every proof are compared in the same, simpler way.
            "ArnEquals": lambda item: match_pattern(value, str(item)),
            "ArnLike": lambda item: match_pattern(value, str(item)),
            "Bool": lambda item: value == z3.StringVal(str(item).lower()),
        }[base]
        matches = z3.Or(*map(build, as_list(expected)))
        return z3.Or(z3.Not(present), matches) if base != operator else z3.And(present, matches)


def match_pattern(value, pattern):
    if pattern == "*":
        return z3.BoolVal(val=True)
    if "*" not in pattern and "?" not in pattern:
        return value == z3.StringVal(pattern)
    return z3.InRe(value, build_regex(pattern))


def build_regex(pattern):
    # One literal for each run of plain characters: the solver is slower with one for each character.
    parts, run = [], ""
    for char in pattern:
        if char in "*?":
            if run:
                parts.append(z3.Re(z3.StringVal(run)))
                run = ""
            parts.append(ANY_TEXT if char == "*" else ANY_CHARACTER)
        else:
            run += char
    if run:
        parts.append(z3.Re(z3.StringVal(run)))
    return z3.Concat(*parts) if len(parts) > 1 else parts[0]


def build_policy(statements, context):
    """Build the formula of what statements allow and do not deny."""
    formulas: dict[str, list[z3.BoolRef]] = {"Allow": [], "Deny": []}
    for row in statements:
        if set(row) - IDENTITY_KEYS:
            raise ValueError(f"unsupported statement: {row}")
        formulas[row["Effect"]].append(
            z3.And(
                z3.Or(*(match_pattern(ACTION, action.lower()) for action in row["Action"])),
                z3.Or(*(match_pattern(RESOURCE, resource) for resource in row["Resource"])),
                *build_conditions(row, context),
            )
        )
    return z3.And(z3.Or(*formulas["Allow"]), z3.Not(z3.Or(*formulas["Deny"])))


def build_trust_policy(statements, context):
    """Build the formula of the principals and actions that a trust policy allows."""
    formulas = []
    for row in statements:
        if row["Effect"] != "Allow" or set(row) - TRUST_KEYS:
            raise ValueError(f"unsupported statement: {row}")
        kinds = {"*": ["*"]} if row["Principal"] == "*" else row["Principal"]
        principal = z3.Or(
            *(
                z3.And(
                    z3.StringVal(kind) == PRINCIPAL_KIND if kind != "*" else True,
                    match_pattern(PRINCIPAL, name),
                )
                for kind, names in kinds.items()
                for name in as_list(names)
            )
        )
        action = z3.Or(*(match_pattern(ACTION, action.lower()) for action in row["Action"]))
        formulas.append(z3.And(principal, action, *build_conditions(row, context)))
    return z3.Or(*formulas)


def build_conditions(row, context):
    return [
        context.build_condition(operator, key, expected)
        for operator, keys in row["Condition"].items()
        for key, expected in keys.items()
    ]


def prove_implication(premise, conclusion, *, seconds=60):
    """Prove that every request that satisfies the premise satisfies the conclusion."""
    solver = z3.Solver()
    solver.set("timeout", seconds * 1000)
    solver.add(premise, z3.Not(conclusion))
    result = solver.check()
    if result == z3.unsat:
        return Verdict(is_proved=True)
    if result == z3.unknown:
        return Verdict(is_proved=False, is_unknown=True)
    model = solver.model()
    request = {str(name): model[name] for name in model.decls()}
    return Verdict(is_proved=False, counterexample=str(request))


def prove_equal(granted, specified, build):
    """Prove both directions: `granted => specified` and `specified => granted`; return both verdicts.

    Likely requests are tried first, which is faster than the solver if one of them is a counterexample. The proof then goes
    action by action, because few statements are about the same action. All actions that only wildcards match are one case.
    """
    for request in generate_requests([*granted, *specified]):
        is_granted, is_specified = (decide(rows, request) for rows in (granted, specified))
        if is_granted != is_specified:
            disproved = Verdict(is_proved=False, counterexample=str(request))
            proved = Verdict(is_proved=True)
            return [disproved, proved] if is_granted else [proved, disproved]
    verdicts: list[list[Verdict]] = [[], []]
    for label, policies, restriction in split_by_action(granted, specified):
        context = Context()
        formulas = [build(rows, context) for rows in policies]
        for number, (premise, conclusion) in enumerate((formulas, formulas[::-1])):
            verdict = prove_implication(z3.And(premise, restriction), conclusion)
            verdicts[number].append(
                verdict
                if verdict.is_proved
                else replace(verdict, counterexample=label + verdict.counterexample)
            )
    return [
        next((verdict for verdict in direction if not verdict.is_proved), direction[0])
        for direction in verdicts
    ]


def split_by_action(granted, specified):
    """Return a label, the statements of both policies and a restriction for each action, and one for all other actions."""
    policies = (granted, specified)
    named = sorted(
        {
            action.lower()
            for row in (*granted, *specified)
            for action in row["Action"]
            if "*" not in action
        }
    )
    cases = [
        (f"{action}: ", [select_action(rows, action) for rows in policies], True)
        for action in named
    ]
    other_actions = z3.And(*(z3.StringVal(action) != ACTION for action in named))
    return [
        *cases,
        ("other actions: ", [select_wildcards(rows) for rows in policies], other_actions),
    ]


def select_action(statements, action):
    """Return the statements that match an action, each extended to any action."""
    return [
        {**row, "Action": ["*"]}
        for row in statements
        if any(fnmatchcase(action, pattern.lower()) for pattern in row["Action"])
    ]


def select_wildcards(statements):
    """Return the statements that have actions with wildcards, limited to these."""
    rows = [
        {**row, "Action": [action for action in row["Action"] if "*" in action]}
        for row in statements
    ]
    return [row for row in rows if row["Action"]]
