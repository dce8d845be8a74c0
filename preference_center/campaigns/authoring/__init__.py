"""What an author writes: blocks, MJML, Markdown and HTML read, made safe and looked over."""
