"""The installation that sends: its home, its clock, its workers."""
