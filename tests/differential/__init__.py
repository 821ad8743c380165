"""Model and implementation side by side: whatever is done to both, both do the same."""
