"""Metrics, compared with the reference libraries, published values and examples.

The libraries are imported by the tests that use them: they take seconds, in every process that collects the tests.
"""

import json
import random

import dspy
import pytest

from tunestack.backends.base import ToolCall
from tunestack.errors import ConfigError
from tunestack.evaluation.examples import Example
from tunestack.evaluation.journal import Answer
from tunestack.evaluation.metrics import METRICS, create_metrics
from tunestack.records.conversation import Conversation

RANDOM = random.Random(3)
WORDS = ["the", "parcel", "is", "in", "a", "depot", "Berlin,", "today!", "not", "there"]
TEXTS = [
    (" ".join(RANDOM.choices(WORDS, k=RANDOM.randint(1, 12))), " ".join(RANDOM.choices(WORDS, k=8)))
    for _ in range(60)
]


def example(expected, calls=()):
    return Example(
        line=1, record={}, conversation=Conversation(()), expected=expected, expected_calls=calls
    )


def evaluate(spec, pairs):
    """Return the value of a metric, and the score of each pair of expected and actual text."""
    examples = [example(expected) for expected, _ in pairs]
    (metric,) = create_metrics([spec], examples)
    rows = [
        metric.row(one, Answer(text=actual))
        for one, (_, actual) in zip(examples, pairs, strict=True)
    ]
    return metric.aggregate(rows), [metric.score(row) for row in rows]


def test_rouge_l_is_that_of_rouge_score():
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    expected = [scorer.score(one, two)["rougeL"].fmeasure for one, two in TEXTS]
    assert evaluate("rouge_l", TEXTS)[1] == pytest.approx(expected)


def test_rouge_l_supports_other_scripts():
    """The tokenizer of rouge-score drops all letters but ASCII, so it returns 0 here."""
    from rouge_score.rouge_scorer import RougeScorer

    assert RougeScorer(["rougeL"]).score("где посылка", "где посылка")["rougeL"].fmeasure == 0
    assert evaluate("rouge_l", [("где посылка", "где посылка")])[0] == 1


def test_bleu_and_chrf_are_those_of_sacrebleu():
    import sacrebleu

    expected, actual = zip(*TEXTS, strict=True)
    corpus = sacrebleu.corpus_bleu(list(actual), [list(expected)]).score / 100
    sentences = [sacrebleu.sentence_bleu(two, [one]).score / 100 for one, two in TEXTS]
    value, scores = evaluate("bleu", TEXTS)
    assert value == pytest.approx(corpus)
    assert scores == pytest.approx(sentences)
    chrf = [sacrebleu.sentence_chrf(two, [one]).score / 100 for one, two in TEXTS]
    assert evaluate("chrf", TEXTS)[1] == pytest.approx(chrf)


def test_labels_have_the_accuracy_and_f1_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score

    labels = ["billing", "shipping", "returns"]
    pairs = [(RANDOM.choice(labels), RANDOM.choice([*labels, "none", ""])) for _ in range(200)]
    expected, actual = zip(*pairs, strict=True)
    f1 = f1_score(expected, actual, labels=labels, average="macro", zero_division=0)
    assert evaluate("macro_f1", pairs)[0] == pytest.approx(f1)
    assert evaluate("accuracy", pairs)[0] == pytest.approx(accuracy_score(expected, actual))


@pytest.mark.parametrize(
    ("expected", "actual", "f1", "exact"),
    [
        ("the cat", "The cat!", 1, 1),
        ("a cat sat on the mat", "cat on mat", 6 / 7, 0),
        ("Berlin, Germany", "berlin", 2 / 3, 0),
        ("yes", "no", 0, 0),
        ("the", "a", 1, 1),
        ("yes", "the", 0, 0),
        ("go go go", "go", 0.5, 0),
    ],
)
def test_token_f1_and_normalized_match_are_those_of_squad(expected, actual, f1, exact):
    """Computed by hand with the rules of the official script."""
    assert evaluate("token_f1", [(expected, actual)])[0] == pytest.approx(f1)
    assert evaluate("normalized_match", [(expected, actual)])[0] == exact


@pytest.mark.parametrize(
    ("metric", "expected", "actual", "value"),
    [
        ("exact_match", "Yes", "Yes\n", 1),
        ("exact_match", "Yes", "yes", 0),
        ("json_valid", "", '{"a": 1}', 1),
        ("json_valid", "", '```{"a": 1}```', 0),
        ("json_fields", '{"a": 1, "b": {"c": [1, 2]}}', '{"a": 1, "b": {"c": [1, 3]}, "x": 1}', 2 / 3),
        ("json_fields", '{"a": 1}', '{"a": true}', 0),
        ("json_fields", '{"a": {}}', '{"a": {}}', 1),
        ("json_fields", '{"a": 1}', "no JSON", 0),
        ("json_fields", '{"a": 1}', '{"a": 1.0}', 1),
        (r"regex:^\d+$", "", "42", 1),
        (r"regex:^\d+$", "", "42 parcels", 0),
        ("operator:eq", "a", "a", 1),
        ("operator:eq", "a", "b", 0),
    ],
)  # fmt: skip
def test_metric_of_one_answer(metric, expected, actual, value):
    assert evaluate(metric, [(expected, actual)])[0] == pytest.approx(value)


@pytest.mark.parametrize("depth", [300, 600, 5000])
@pytest.mark.parametrize("parts", ['{"a": %s}', "[%s]"])
def test_answer_that_is_nested_deeply_is_scored(depth, parts):
    start, end = parts.split("%s")
    answer = f"{start * depth}1{end * depth}"
    assert evaluate("json_fields", [('{"b": 1}', answer)]) == (0, [0])
    assert evaluate("json_valid", [("", answer)])[0] == (depth < 1000)


def test_arguments_of_tools_that_are_nested_deeply_are_compared():
    deep: list[dict[str, object]] = [{}, {}]
    for _ in range(5000):
        deep = [{"a": value} for value in deep]
    expected, actual = ((ToolCall(name="find", input=value),) for value in deep)
    (metric,) = create_metrics(["tool_calls"], [])
    assert metric.row(example("", expected), Answer(text="", tool_calls=actual)) == 1


@pytest.mark.parametrize("value", [True, 1.0, "1", [1], {}, []])
def test_arguments_of_tools_that_differ_in_type_are_not_equal(value):
    expected, actual = ((ToolCall(name="find", input={"a": argument}),) for argument in (1, value))
    (metric,) = create_metrics(["tool_calls"], [])
    assert metric.row(example("", expected), Answer(text="", tool_calls=actual)) == 0


def test_tool_calls_are_compared_in_any_order():
    calls = (ToolCall(name="find", input={"a": 1, "b": 2}), ToolCall(name="track", input={}))
    (metric,) = create_metrics(["tool_calls"], [])
    same = (ToolCall(name="track", input={}), ToolCall(name="find", input={"b": 2, "a": 1}))
    assert metric.row(example("", calls), Answer(text="", tool_calls=same)) == 1
    for other in ((), calls[:1], (*calls, calls[0]), (calls[0], ToolCall(name="x", input={}))):
        assert metric.row(example("", calls), Answer(text="", tool_calls=other)) == 0


def test_dspy_metric_gets_the_fields_of_the_chat_adapter(monkeypatch, tmp_path):
    (tmp_path / "desk_metric.py").write_text(
        "def same_desk(example, prediction, trace=None):\n    return example.desk == prediction.desk\n"
    )
    monkeypatch.chdir(tmp_path)
    text = dspy.ChatAdapter().format_assistant_message_content(
        dspy.Signature("ticket -> desk"), {"desk": "billing"}
    )
    other = text.replace("billing", "returns")
    assert evaluate("dspy:desk_metric:same_desk", [(text, text), (text, other)])[1] == [1, 0]


def test_function_can_be_passed():
    def is_longer(expected, actual):
        return len(actual) > len(expected)

    assert evaluate(is_longer, [("a", "bb"), ("aa", "b")])[1] == [1, 0]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["exactmatch"], "unknown metric 'exactmatch': use exact_match"),
        (["exact_match", "exact_match"], "given twice"),
        ([], "no metric"),
        (["regex:["], "invalid regular expression"),
        (["no_such_module:f"], "can't be imported: ModuleNotFoundError"),
        (["json:nothing"], "the module 'json' has no function 'nothing'"),
        (["math:pi"], "the module 'math' has no function 'pi'"),
    ],
)
def test_invalid_metric_is_an_error(specs, message):
    with pytest.raises(ConfigError, match=message):
        create_metrics(specs, [])


def test_error_of_a_function_names_the_metric():
    with pytest.raises(ConfigError, match="metric 'json:loads' failed: TypeError"):
        evaluate("json:loads", [("a", "b")])


def test_every_metric_scores_a_correct_answer_with_1():
    text = json.dumps({"answer": "the parcel is in the depot", "number": 7})
    for name in METRICS:
        assert evaluate(name, [(text, text)])[0] == pytest.approx(1), name
