"""Simulated JSON satisfies the requested schema and contains the model's response where it fits."""

import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunestack_sandbox.schemas import build_value


def an_object(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("schema", "answer", "expected"),
    [
        (an_object(label={"type": "string"}), "late", {"label": "late"}),
        (an_object(label={"enum": ["early", "late"]}), "it is Late", {"label": "late"}),
        (an_object(label={"enum": ["a b", "a"]}), "a b c", {"label": "a b"}),
        (an_object(label={"enum": ["early", "late"]}), "lost", {"label": "early"}),
        (an_object(label={"const": "x"}), "y", {"label": "x"}),
        (an_object(days={"type": "integer"}), "in 3 days", {"days": 3}),
        (an_object(days={"type": "integer", "minimum": 5}), "in 3 days", {"days": 5}),
        (an_object(days={"type": "integer", "exclusiveMaximum": 3}), "3", {"days": 2}),
        (an_object(late={"type": "boolean"}), "yes", {"late": True}),
        (an_object(a={"type": "string"}), '{"a": "x", "b": 1}', {"a": "x"}),
        (an_object(tags={"type": "array", "items": {"type": "string"}}), "x", {"tags": ["x"]}),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
            '{"b": 7}',
            {"b": 7},
        ),
        (
            {
                "$defs": {"Kind": {"enum": ["bug", "wish"]}},
                **an_object(kind={"$ref": "#/$defs/Kind"}, note={"type": ["string", "null"]}),
            },
            "a wish",
            {"kind": "wish", "note": "a wish"},
        ),
        (
            an_object(note={"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 3}]}),
            "hello",
            {"note": "hel"},
        ),
        (
            {"allOf": [an_object(a={"type": "string"}), an_object(b={"type": "integer"})]},
            "9",
            {"a": "9", "b": 9},
        ),
        (an_object(when={"type": "string", "format": "date"}), "now", {"when": "2026-01-01"}),
    ],
)
def test_a_value_is_taken_from_a_matching_answer(schema, answer, expected):
    value = build_value(schema, answer)
    assert expected == value
    jsonschema.validate(value, schema)


def test_a_recursive_schema_terminates():
    node = an_object(name={"type": "string"}, next={"$ref": "#/$defs/Node"})
    assert json.dumps(build_value({"$defs": {"Node": node}, "$ref": "#/$defs/Node"}, "x"))
    assert build_value({"$ref": "#"}, "x") is not None


_NAMES = st.sampled_from(["a", "b", "label"])
_SCALARS = st.one_of(
    st.builds(
        lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    st.builds(
        lambda kind, least, more: {"type": kind, "minimum": least, "maximum": least + more},
        st.sampled_from(["integer", "number"]),
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(lambda step: {"type": "integer", "multipleOf": step}, st.integers(1, 9)),
    st.builds(lambda options: {"enum": options}, st.lists(st.text(), min_size=1, unique=True)),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["integer", "null"]}, {}]),
)


def _nested(inner):
    return st.one_of(
        st.builds(
            lambda properties, optional: {
                "type": "object",
                "properties": properties,
                "required": [name for name in properties if name != optional],
                "additionalProperties": False,
            },
            st.dictionaries(_NAMES, inner, max_size=3),
            _NAMES,
        ),
        st.builds(
            lambda items, least, more: {
                "type": "array",
                "items": items,
                "minItems": least,
                "maxItems": least + more,
            },
            inner,
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
    )


_ANSWERS = st.one_of(
    st.text(),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(st.text()),
        st.dictionaries(_NAMES, st.one_of(st.text(), st.integers())),
    ).map(json.dumps),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, derandomize=True)
@given(st.recursive(_SCALARS, _nested, max_leaves=8), _ANSWERS)
def test_a_value_always_satisfies_its_schema(schema, answer):
    jsonschema.validate(build_value(schema, answer), schema)
