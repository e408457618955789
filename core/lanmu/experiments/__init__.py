"""Experiments: arms of a material, and which recipient gets which."""
