"""Commands about campaigns, whom they are for, and what comes back."""
