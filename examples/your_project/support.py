"""An example application: it fine-tunes a model on support tickets, and assigns new tickets to teams."""

import boto3

from tunestack import Tuner


def train(path, *, tuner=None):
    """Fine-tune a model, start its endpoint, and return the id of the endpoint."""
    job = (tuner or Tuner()).submit("nova-micro", path, hyperparameters={"epochCount": 2}).wait()
    job.start_endpoint()
    return job.endpoint().id


def assign_team(endpoint, ticket):
    """Return the team that handles a ticket."""
    answer = boto3.client("bedrock-runtime").converse(
        modelId=endpoint, messages=[{"role": "user", "content": [{"text": ticket}]}]
    )
    return answer["output"]["message"]["content"][0]["text"]
