"""What a study says, as checked values: strict reading, levels laid over settings, cells, runs."""
