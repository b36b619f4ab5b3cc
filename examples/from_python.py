"""Fine-tune Llama 3.1 8B on Bedrock, ask it, and stop its endpoint."""

from datetime import timedelta

from tickets import chat

from tunestack import Tuner

# Llama is tuned in us-west-2, in prompt/completion records, and served by provisioned throughput only.
job = Tuner(region="us-west-2").submit(
    "llama-3-1-8b", chat(), hyperparameters={"epochCount": 2, "batchSize": 1}
)
for seen in job.watch():
    print(f"{seen.name}: {seen.state.value} {seen.phase or ''}")
print(f"Final training loss: {job.metrics()[-1]['training_loss']}")
job.start_endpoint(ttl=timedelta(hours=1))
print(f"Answer: {job.endpoint().invoke('My kettle stopped working, can you mend it?')}")
job.stop_endpoint()
