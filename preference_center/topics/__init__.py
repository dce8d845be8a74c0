"""What can one follow? Purposes, and the topics that belong to them."""
