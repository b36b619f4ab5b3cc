"""Jobs that were followed keep the details that a list does not have."""


def test_details_of_the_submission_are_kept(tuner, chat):
    jobs = [
        tuner.submit("nova-micro", chat, hyperparameters={"epochCount": epochs})
        for epochs in (1, 2)
    ]
    submitted = [job.info for job in jobs]
    tuner.wait_all(jobs)
    for job, before in zip(jobs, submitted, strict=True):
        assert job.state == "succeeded"
        for name in ("hyperparameters", "training_data", "output"):
            assert getattr(job.info, name) == getattr(before, name)
        assert job.refresh().hyperparameters.items() >= before.hyperparameters.items()
