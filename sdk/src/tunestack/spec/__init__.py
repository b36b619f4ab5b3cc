"""What is to be fine-tuned, and how: the arguments of a job, checked, and its estimated cost."""
