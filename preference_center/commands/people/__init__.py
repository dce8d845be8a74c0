"""Commands about people and what they follow."""
