"""Where models are tuned: an AWS account, or a project at OpenAI."""
