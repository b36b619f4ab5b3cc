"""OpenAI's API for fine-tuning: files, uploads, jobs, models and chat completions.

Source: the types and resources of the openai package, 2.54 and 3.54, and the API reference (read 2026-11-22). Error messages
are OpenAI's where they are known.
"""
