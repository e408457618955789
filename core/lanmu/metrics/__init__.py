"""Facts (what happened) and their definitions (what a rate means)."""
