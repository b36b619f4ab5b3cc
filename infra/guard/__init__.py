"""The code of the endpoint guard's Lambda function."""
