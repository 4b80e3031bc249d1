"""The process that a command starts: what is missing, who does it, what it left."""
