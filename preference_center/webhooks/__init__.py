"""What did the provider say? Posts and mails that come back: proven, stored once, read, handed to delivery."""
