"""Which runs train together, and what that costs."""
