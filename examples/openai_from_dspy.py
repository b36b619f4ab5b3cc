"""Fine-tune GPT-4o mini at OpenAI from DSPy, and ask it."""

import dspy
from tickets import chat

from tunestack.dspy import OpenAIProvider, TrainDataFormat

lm = dspy.LM(model="openai/gpt-4o-mini-2024-07-18", provider=OpenAIProvider())
job = lm.finetune(
    train_data=chat(),
    train_data_format=TrainDataFormat.CHAT,
    train_kwargs={"epochCount": 3, "batchSize": 4},
)
tuned = job.result()  # finetune() returns at once; this waits
print(f"Fine-tuning job status: {job.status().value}")
if job.status() == "succeeded":
    endpoint_name = (
        job.start_endpoint()
    )  # at OpenAI there is nothing to start: it is the model's own name
    print(f"Endpoint deployed: {endpoint_name}")
    print(f"Answer: {tuned('I sent the radio back, where is my money?')[0]}")
    job.stop_endpoint()
