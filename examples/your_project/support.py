"""An application of yours: it tunes a model on its tickets, and sorts new ones with it."""

import boto3

from tunestack import Tuner


def train(path, *, tuner=None):
    """Tune a model and start to serve it; returns what to ask it by."""
    job = (tuner or Tuner()).submit("nova-micro", path, hyperparameters={"epochCount": 2}).wait()
    job.start_endpoint()
    return job.endpoint().id


def sort(endpoint, ticket):
    """Tell which team a ticket is for."""
    answer = boto3.client("bedrock-runtime").converse(
        modelId=endpoint, messages=[{"role": "user", "content": [{"text": ticket}]}]
    )
    return answer["output"]["message"]["content"][0]["text"]
