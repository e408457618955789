"""The schedule room: columns, their slots on the calendar, the mix budget and the planner."""
