"""What is planned? Campaigns, their content and their audience."""
