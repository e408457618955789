"""The way of a batch: claimed, made ready, intended, written once, recorded."""
