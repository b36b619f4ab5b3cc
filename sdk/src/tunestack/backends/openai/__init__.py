"""OpenAI, and servers with its API: all code that knows OpenAI."""
