"""What Tunestack provisions in an AWS account."""
