"""Fine-tune Llama 3.1 8B on Bedrock from DSPy, ask it, and stop its endpoint, which is billed by the hour."""

import dspy
from tickets import chat

from tunestack.dspy import BedrockProvider, TrainDataFormat

# Llama is tuned in us-west-2, with a batch size of 1 only.
lm = dspy.LM(
    model="bedrock/meta.llama3-1-8b-instruct-v1:0", provider=BedrockProvider(region="us-west-2")
)
job = lm.finetune(
    train_data=chat(),
    train_data_format=TrainDataFormat.CHAT,
    train_kwargs={"epochCount": 3, "batchSize": 1, "learningRate": 1e-5},
)
tuned = job.result()
print(f"Fine-tuning job status: {job.status().value}")
if job.status() == "succeeded":
    # Only provisioned throughput can serve it: until here nothing was started that costs money.
    endpoint_name = job.start_endpoint()
    print(f"Endpoint deployed: {endpoint_name}")
    print(f"Answer: {tuned('The tent is late, where is the parcel?')[0]}")
    job.stop_endpoint()
