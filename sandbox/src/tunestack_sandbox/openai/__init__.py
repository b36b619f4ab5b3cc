"""OpenAI's API as far as fine-tuning needs it: files, uploads, jobs, models and chat.

Source: the types and resources of the openai package, 2.54 and 3.54, and the API reference (read 2026-11-22). Error texts are
OpenAI's where they are known.
"""
