"""Training data of the examples: messages of customers, and the team that handles each.

`python examples/tickets.py FILE` writes it to a JSONL file.
"""

import json
import sys
from pathlib import Path

PRODUCTS = (
    "lamp",
    "chair",
    "kettle",
    "radio",
    "bicycle",
    "tent",
    "clock",
    "mirror",
    "rug",
    "stove",
)
MESSAGES = {
    "shipping": (
        "Where is my {}? The parcel has not come.",
        "The parcel with the {} is late.",
        "Can the {} be sent to another address?",
    ),
    "refunds": (
        "I want my money back for the {}.",
        "I sent the {} back and have not been paid.",
        "How do I return the {} for a refund?",
    ),
    "repairs": (
        "The {} is broken, can you repair it?",
        "My {} stopped working after a week.",
        "I need a spare part for the {}.",
    ),
    "sales": (
        "Is the {} in stock?",
        "What does the {} cost?",
        "Do you have the {} in blue?",
    ),
}


def make_records() -> list[dict[str, list[dict[str, str]]]]:
    """Return one chat record for each message and product."""
    return [
        {
            "messages": [
                {"role": "user", "content": message.format(product)},
                {"role": "assistant", "content": team},
            ]
        }
        for team, messages in MESSAGES.items()
        for message in messages
        for product in PRODUCTS
    ]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("".join(f"{json.dumps(record)}\n" for record in make_records()))
