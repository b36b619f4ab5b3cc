"""A DSPy job that a test does not wait for."""

import dspy

from tunestack.dspy import BedrockProvider

ROWS = [
    {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]}
    for n in range(20)
]


def test_it(tunestack_sandbox):
    lm = dspy.LM("bedrock/amazon.nova-micro-v1:0", provider=BedrockProvider())
    job = lm.finetune(ROWS, "chat", train_kwargs={"epochCount": 2})
    assert not job.done()
