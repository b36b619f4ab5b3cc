"""Jobs of runs for the tests."""

from tunestack import JobSpec

ROWS = [
    {
        "messages": [
            {"role": "user", "content": f"What is number {number}?"},
            {"role": "assistant", "content": f"It is {number}."},
        ]
    }
    for number in range(20)
]


def build_specs(count, **arguments):
    """Return jobs that differ in their hyperparameters."""
    return [
        JobSpec(
            model="nova-micro",
            data=ROWS,
            hyperparameters={
                "epochCount": 1 + number % 5,
                "learningRate": 1e-6 * (1 + number // 5),
            },
            **arguments,
        )
        for number in range(count)
    ]
