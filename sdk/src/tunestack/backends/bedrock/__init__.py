"""Amazon Bedrock: all code that knows AWS."""
