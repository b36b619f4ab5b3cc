"""The same, of OpenAI's package."""

import openai

CLIENT = openai.OpenAI(max_retries=0)


def test_it(tunestack_sandbox):
    CLIENT.models.list()
