"""What the benchmark of language models compares: ours, rivals, and what other packages offer, and the tables."""
