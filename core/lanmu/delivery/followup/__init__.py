"""What becomes of messages afterwards: doubts looked into, results asked for."""
