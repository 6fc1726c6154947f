"""Short examples, one for each way to train; each runs in seconds: `python -m demo.examples.<name>`."""
