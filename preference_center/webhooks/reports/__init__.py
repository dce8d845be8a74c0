"""Reads a mail that came back, and says what it reports: a bounce, a complaint, an automatic reply, a wish to leave. It acts on nothing."""
