"""What became of mail that left: reach, engagement, experiments, and a mail seen again."""
