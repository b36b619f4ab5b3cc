"""Clients that a test class creates before the first fixture of a test, and after the last."""

import unittest
from typing import Any

import boto3
import pytest


class TestIt(unittest.TestCase):
    client: Any

    @classmethod
    def setUpClass(cls):
        cls.client = boto3.client("bedrock")

    @classmethod
    def tearDownClass(cls):
        boto3.client("bedrock").list_custom_models()

    @pytest.fixture(autouse=True)
    def _sandbox(self, tunestack_sandbox):
        pass

    def test_it(self):
        self.client.list_custom_models()
