"""What left, and how did it end? Messages, chunks, the journal, and how each one closed."""
