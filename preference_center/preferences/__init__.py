"""What did the person choose? Choices on the preference page, and double opt-in."""
