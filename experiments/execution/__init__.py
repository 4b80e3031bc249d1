"""What a worker does with a stack: train, score once, describe."""
