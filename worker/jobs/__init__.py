"""What the queue can ring for, a file for each room it calls."""
