"""`tunestack evaluate`."""

import json

import pytest


@pytest.fixture
def test_file(chat, tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chat))
    return str(path)


@pytest.fixture
def run(cli, job, test_file, tmp_path):
    job.start_endpoint()
    yield lambda *arguments: cli(
        "evaluate", test_file, "--model", job.id, "--cache", str(tmp_path / "cache"), *arguments
    )
    job.stop_endpoint()


def test_result_is_printed_and_written(run, tmp_path):
    code, out, err = run("--compare", "base", "-o", str(tmp_path / "results"))
    assert code == 0, err
    assert "better than base by 100.0 points of exact match" in out
    assert "20 of 20 records; temperature 0.0, max_tokens 1024" in out
    assert json.loads((tmp_path / "results" / "evaluation.json").read_text())["passed"]


def test_json(run):
    code, out, _ = run("-c", "base", "--metric", "accuracy", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["models"][0]["values"] == {"accuracy": 1}
    assert document["models"][0]["confusion"]["it is 0."] == {"it is 0.": 1}
    assert document["comparisons"][0]["difference"] == 1


def test_exit_code_is_1_if_a_condition_does_not_hold(run):
    conditions = ("--require", "exact_match>=0.5", "--require", "exact_match>=base+1.5")
    code, out, _ = run("-c", "base", *conditions)
    assert code == 1
    assert "passed: exact_match>=0.5: exact_match 1 is >= 0.5" in out
    assert "failed: exact_match>=base+1.5: exact_match 1 is not >= 1.5" in out


def test_prompt_and_price(run, tmp_path):
    prompt = tmp_path / "prompt.json"
    prompt.write_text('[{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]')
    code, out, err = run(
        *("-c", "few=nova-pro", "--prompt", f"few={prompt}", "--price", "few=0.8,3.2"),
        *("--price", "model=0.1,0.4", "--max-cost", "1"),
    )
    assert code == 0, err
    assert "cost unknown" not in out
    assert " x the cost" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metric", "bleeu"), "unknown metric 'bleeu'"),
        (("--require", "x>1"), "invalid condition 'x>1'"),
        (("--price", "model=cheap"), "invalid price 'cheap': use INPUT,OUTPUT"),
        (("--workers", "0"), "invalid workers 0"),
        (("--prompt", "model=DEEP"), "is not valid JSON"),
    ],
)
def test_invalid_usage(cli, test_file, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DEEP").write_text("[" * 5000)
    code, _, err = cli("evaluate", test_file, "--model", "nova-micro", *arguments)
    assert (code, message in err) == (2, True), err
