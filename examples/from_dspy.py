"""Fine-tune Nova Micro on Bedrock from DSPy, invoke it, and stop its endpoint."""

import dspy
from tickets import make_records

from tunestack.dspy import BedrockProvider, TrainDataFormat

lm = dspy.LM(model="bedrock/amazon.nova-micro-v1:0", provider=BedrockProvider())
job = lm.finetune(
    train_data=make_records(),
    train_data_format=TrainDataFormat.CHAT,
    train_kwargs={"epochCount": 3, "batchSize": 4, "learningRate": 1e-5},
)
tuned = job.result()  # finetune() returns at once; result() waits
print(f"Fine-tuning job status: {job.status().value}")
if job.status() == "succeeded":
    endpoint_name = job.start_endpoint()
    print(f"Endpoint deployed: {endpoint_name}")
    print(f"Answer: {tuned('I sent the radio back, where is my money?')[0]}")
    job.stop_endpoint()
