"""A made-up shop to try everything with: its customers, its topics and their texts, and a first campaign. Nobody in it exists."""
