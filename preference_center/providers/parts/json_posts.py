"""Providers whose posts are JSON, one event or an array of them: all but the reading of one event."""

from abc import abstractmethod
from typing import Any

from preference_center.providers.base import Event, Post, Provider
from preference_center.providers.parts import facts


class JsonPosts(Provider):
    def read(self, post: Post) -> list[Event]:
        return facts.each(facts.json_of(post.body), self.name, self.read_one)

    @abstractmethod
    def read_one(self, item: dict[str, Any]) -> list[Event]:
        """What one object says. Raises nothing, whatever is in it."""
