"""Fine-tune Llama 3.1 8B on Bedrock, invoke it, and stop its endpoint, which is billed by the hour."""

from datetime import timedelta

from tickets import make_records

from tunestack import Tuner

# Llama 3.1 is fine-tuned in us-west-2, and served by provisioned throughput only. Its record format is prompt/completion;
# the SDK converts the chat records.
job = Tuner(region="us-west-2").submit(
    "llama-3-1-8b", make_records(), hyperparameters={"epochCount": 2, "batchSize": 1}
)
for info in job.watch():
    print(f"{info.name}: {info.state.value} {info.phase or ''}")
print(f"Final training loss: {job.metrics()[-1]['training_loss']}")
job.start_endpoint(ttl=timedelta(hours=1))
print(f"Answer: {job.endpoint().invoke('My kettle stopped working, can you repair it?')}")
job.stop_endpoint()
