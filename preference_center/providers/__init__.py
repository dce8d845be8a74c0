"""How is mail carried, and what do its carriers say? One file a provider; a file that stands here is found by its name."""
