"""Fine-tune GPT-4o mini at OpenAI from DSPy, and invoke it."""

import dspy
from tickets import make_records

from tunestack.dspy import OpenAIProvider, TrainDataFormat

lm = dspy.LM(model="openai/gpt-4o-mini-2024-07-18", provider=OpenAIProvider())
job = lm.finetune(
    train_data=make_records(),
    train_data_format=TrainDataFormat.CHAT,
    train_kwargs={"epochCount": 3, "batchSize": 4},
)
tuned = job.result()  # finetune() returns at once; result() waits
print(f"Fine-tuning job status: {job.status().value}")
if job.status() == "succeeded":
    # OpenAI needs no endpoint: this returns the name of the model.
    endpoint_name = job.start_endpoint()
    print(f"Endpoint deployed: {endpoint_name}")
    print(f"Answer: {tuned('I sent the radio back, where is my money?')[0]}")
    job.stop_endpoint()
