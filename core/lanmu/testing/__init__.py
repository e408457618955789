"""The kit for tests, ours and a plugin author's: a clock to set, fakes, and the contracts to pass."""
