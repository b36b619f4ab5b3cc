"""Steps about events, notices and alarms, and the removal of the stage."""

import json

from botocore.exceptions import ClientError

from tests.live.live_run import find, step
from tests.live.steps_jobs import build_job, create_job, new_name, wait_until_ended
from tunestack.deployment import STAGE_TAG


@step(
    settles=("event-queue", "notice-topic", "alarm-topic", "guard-metrics"),
    usd=lambda run: run.training_usd(),
    duration="30 minutes",
)
def notify(run):
    """Subscribe a queue to the topic, stop a job, set an alarm, and wait for the messages."""
    topic = run.find_resource("AWS::SNS::Topic", "OperationsTopic")
    notices = _subscribe_queue(run, topic)
    arn = create_job(run, build_job(run, new_name(run, "notify")))
    run.bedrock.stop_model_customization_job(jobIdentifier=arn)
    wait_until_ended(run, arn)

    events = run.tuner_session.client("sqs")
    queue = run.deployment.event_queue_url
    event = run.wait_for("the event", lambda: _receive(events, queue, arn, '"Stopped"'), minutes=5)
    detail = json.loads(event)["detail"] if event else {}
    is_complete = detail.get("jobArn") == arn and detail.get("jobStatus") == "Stopped"
    run.check("event-queue", is_complete, f"detail: {sorted(detail)}")

    sqs = run.admin.client("sqs")
    notice = run.wait_for("the notice", lambda: _receive(sqs, notices, arn, "Stopped"), minutes=5)
    run.check("notice-topic", notice, "received" if notice else "not received")

    cloudwatch = run.admin.client("cloudwatch")
    alarm = run.find_resource("AWS::CloudWatch::Alarm", "GuardFailed")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    notice = run.wait_for("the alarm", lambda: _receive(sqs, notices, alarm), minutes=5)
    run.check("alarm-topic", notice, "received" if notice else "not received")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="the test is over")

    if not run.clock.is_simulated:
        name = run.find_resource("AWS::CloudWatch::Alarm", "GuardNoSweep")

        def is_ok():
            (row,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
            return row["StateValue"] == "OK"

        run.check("guard-metrics", run.wait_for("the alarm", is_ok, minutes=30), name)


def _subscribe_queue(run, topic):
    """Create a queue that receives the messages of a topic, and return its URL."""
    sqs, name = run.admin.client("sqs"), f"Tunestack-{run.run_id}-notices"
    arn = f"arn:aws:sqs:{run.region}:{run.account}:{name}"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    url = sqs.create_queue(
        QueueName=name, Attributes={"Policy": json.dumps(policy)}, tags={STAGE_TAG: run.run_id}
    )["QueueUrl"]
    run.admin.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return url


def _receive(sqs, url, *texts):
    """Receive and delete messages, and return the first body that contains all texts. Only the run reads the queue."""
    response = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    messages = response.get("Messages", ())
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    bodies = [message["Body"] for message in messages]
    return next((body for body in bodies if all(text in body for text in texts)), None)


@step(settles=("model-delete", "model-of-job"))
def delete_models(run):
    """Delete the models with the tuner policy."""
    for job in run.jobs:

        def delete(model=job.model):
            try:
                # If a model could be deleted while it was served, it does not exist any more.
                return find(lambda: run.bedrock.delete_custom_model(modelIdentifier=model)) or True
            except run.bedrock.exceptions.ConflictException:  # a deployment is being deleted
                return None

        deleted = run.check_call(
            "model-delete", lambda: run.wait_for("the deletion", delete, minutes=15)
        )
        run.check("model-delete", deleted, "deleted" if deleted else "not deleted")
        row = run.bedrock.get_model_customization_job(jobIdentifier=job.id)
        run.check("model-of-job", "outputModelArn" in row, sorted(row))


@step(settles=("stage-can-be-removed",), duration="15 minutes")
def remove(run):
    """Delete everything that the run has created, also the stage."""
    left = run.clean_up()
    run.check("stage-can-be-removed", not left, f"left: {left}" if left else "nothing is left")
    try:
        run.admin.client("cloudformation").describe_stacks(StackName=run.stack)
    except ClientError:
        return
    run.check("stage-can-be-removed", False, f"{run.stack} still exists")
