"""When and how fast a message may leave: lanes and their limits, dead domains, morning waves, a paused campaign."""
