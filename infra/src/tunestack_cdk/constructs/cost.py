"""The monthly budget of a stage, and its dashboard."""

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

_THRESHOLDS = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""Kind of cost, and percentage of the budget."""


def supports_budgets(region: str) -> bool:
    """Return whether CloudFormation can create budgets in a region: it can't in GovCloud, where another account pays."""
    return not region.startswith("us-gov-")


class MonthlyBudget(Construct):
    """Sends an alert when the actual or forecast cost of a stage in a month reaches its budget.

    A budget counts the resources with the tag of the stage, after the owner of the bill has activated `tunestack:stage` as
    a cost allocation tag. It stops nothing, and its data is up to a day old.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: str, usd: int, operations: Operations
    ) -> None:
        super().__init__(scope, construct_id)
        subscriber = budgets.CfnBudget.SubscriberProperty(
            subscription_type="EMAIL", address=operations.alert_email
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
                    subscribers=[subscriber],
                )
                for kind, percent in _THRESHOLDS
            ],
        )
        budget.cfn_options.condition = operations.has_alert_email


class Dashboard(Construct):
    """A CloudWatch dashboard with the number of endpoints, the alarms of the guard and its log."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: str, guard: EndpointGuard
    ) -> None:
        super().__init__(scope, construct_id)

        def metric(name: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="Tunestack",
                metric_name=name,
                dimensions_map={"stage": stage},
                statistic="Maximum",
            )

        self.dashboard = dashboard = cloudwatch.Dashboard(self, "Dashboard")
        dashboard.add_widgets(
            cloudwatch.GraphWidget(
                title="Endpoints in each sweep",
                left=[metric(name) for name in ("kept", "waiting", "foreign", "failed")],
                width=12,
            ),
            cloudwatch.GraphWidget(title="Deleted by the guard", left=[metric("ended")], width=12),
        )
        dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(
                title="Alarms of the guard", alarms=guard.alarms, width=24
            ),
            cloudwatch.LogQueryWidget(
                title="Log of the guard",
                log_group_names=[guard.function.log_group.log_group_name],
                query_lines=[
                    "fields @timestamp, @message",
                    # The beginnings of the messages in endpoint_guard_handler.py.
                    "filter @message like /Deleted |Can't |No stage tag/",
                    "sort @timestamp desc",
                ],
                region=Aws.REGION,
                width=24,
            ),
        )
