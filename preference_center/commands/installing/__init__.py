"""Commands that set up, start, check and try out an installation."""
