"""Whom is this for? A small rule language that knows nothing of consent."""
