"""Fine-tune Llama 3.1 8B on Bedrock from DSPy, invoke it, and stop its endpoint, which is billed by the hour."""

import dspy
from tickets import make_records

from tunestack.dspy import BedrockProvider, TrainDataFormat

# Llama 3.1 is fine-tuned in us-west-2. Its only valid batch size is 1.
lm = dspy.LM(
    model="bedrock/meta.llama3-1-8b-instruct-v1:0", provider=BedrockProvider(region="us-west-2")
)
job = lm.finetune(
    train_data=make_records(),
    train_data_format=TrainDataFormat.CHAT,
    train_kwargs={"epochCount": 3, "batchSize": 1, "learningRate": 1e-5},
)
tuned = job.result()
print(f"Fine-tuning job status: {job.status().value}")
if job.status() == "succeeded":
    # Provisioned throughput is billed by the hour from here until stop_endpoint().
    endpoint_name = job.start_endpoint()
    print(f"Endpoint deployed: {endpoint_name}")
    print(f"Answer: {tuned('The tent is late, where is the parcel?')[0]}")
    job.stop_endpoint()
