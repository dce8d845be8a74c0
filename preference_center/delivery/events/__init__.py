"""What happened to our mail after it left: each report kept once, tied to what we sent, and obeyed."""
