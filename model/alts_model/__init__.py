"""The executable model: transition tables over terms, run symbolically and concretely."""
