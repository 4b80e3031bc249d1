"""What a run is: the key of its configuration, replicate, data and the code that trains it."""
