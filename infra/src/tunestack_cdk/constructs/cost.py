"""What the stage may cost, and a look at what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from tunestack.deployment import STAGE_TAG

if TYPE_CHECKING:
    from tunestack_cdk.constructs.endpoint_guard import EndpointGuard
    from tunestack_cdk.constructs.operations import Operations


def has_budgets(region: str) -> bool:
    """Tell whether CloudFormation makes budgets there: in GovCloud, whose accounts are paid for by another, it does not."""
    return not region.startswith("us-gov-")


class MonthlyBudget(Construct):
    """Tells the alert address when the stage has cost, or will cost, what it may in a month.

    It counts what carries the stage's tag, once the account's owner has made the tag a cost allocation tag. A budget stops
    nothing, and lags by up to a day.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: str, usd: int, operations: Operations
    ) -> None:
        super().__init__(scope, construct_id)
        address = budgets.CfnBudget.SubscriberProperty(
            subscription_type="EMAIL", address=operations.address
        )
        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=usd, unit="USD"),
                cost_filters={"TagKeyValue": [f"user:{STAGE_TAG}${stage}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[address],
                )
                for kind, percent in (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
            ],
        )
        budget.cfn_options.condition = operations.has_address


class Dashboard(Construct):
    """Endpoints, what the guard did with them, and its alarms, on one page."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: str, guard: EndpointGuard
    ) -> None:
        super().__init__(scope, construct_id)

        def counted(name: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="Tunestack",
                metric_name=name,
                dimensions_map={"stage": stage},
                statistic="Maximum",
            )

        board = cloudwatch.Dashboard(self, "Dashboard")
        board.add_widgets(
            cloudwatch.GraphWidget(
                title="Endpoints at each sweep",
                left=[counted(name) for name in ("kept", "waiting", "foreign", "failed")],
                width=12,
            ),
            cloudwatch.GraphWidget(title="Ended by the guard", left=[counted("ended")], width=12),
        )
        board.add_widgets(
            cloudwatch.AlarmStatusWidget(title="The guard", alarms=guard.alarms, width=24),
            cloudwatch.LogQueryWidget(
                title="What the guard did",
                log_group_names=[guard.function.log_group.log_group_name],
                query_lines=[
                    "fields @timestamp, @message",
                    "filter @message like /was ended|can't be|carries no/",
                    "sort @timestamp desc",
                ],
                region=Aws.REGION,
                width=24,
            ),
        )
