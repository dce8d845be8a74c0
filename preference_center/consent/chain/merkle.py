"""A hash tree over the links, as certificate logs use it (RFC 9162, 2.1): one root for all, and a short path that shows one inside.

Works on a stream and keeps only the right edge of the tree, so its cost in memory does not grow with the ledger.
"""

from collections.abc import Iterable
from hashlib import sha256


class Tree:
    """The root over the leaves added so far, and the paths of the leaves that were marked."""

    def __init__(self, marked: Iterable[int] = ()) -> None:
        self.size = 0
        self._edge: list[tuple[int, bytes, tuple[int, ...]]] = []  # (leaves below, hash, marked leaves below)
        self.paths: dict[int, list[bytes]] = {index: [] for index in marked}

    def add(self, leaf: bytes) -> None:
        edge, weight = self._edge, 1
        if not self.paths:  # the quick way, with nothing to note
            value = sha256(b"\x00" + leaf).digest()
            while edge and edge[-1][0] == weight:
                value = sha256(b"\x01" + edge.pop()[1] + value).digest()
                weight *= 2
            edge.append((weight, value, ()))
            self.size += 1
            return
        value = sha256(b"\x00" + leaf).digest()
        inside: tuple[int, ...] = (self.size,) if self.size in self.paths else ()
        while edge and edge[-1][0] == weight:
            _, left, left_inside = edge.pop()
            if inside or left_inside:
                inside = self._joined(left, left_inside, value, inside)
            value = sha256(b"\x01" + left + value).digest()
            weight *= 2
        edge.append((weight, value, inside))
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves up to here; more may follow."""
        if not self._edge:
            return sha256().digest()
        value = self._edge[-1][1]
        for _, left, _inside in reversed(self._edge[:-1]):
            value = sha256(b"\x01" + left + value).digest()
        return value

    def close(self) -> bytes:
        """The root, with the paths of the marked leaves made complete. Nothing can be added afterwards."""
        _, value, inside = self._edge[-1]
        for _, left, left_inside in reversed(self._edge[:-1]):
            inside = self._joined(left, left_inside, value, inside)
            value = sha256(b"\x01" + left + value).digest()
        return value

    def _joined(
        self, left: bytes, left_inside: tuple[int, ...], right: bytes, right_inside: tuple[int, ...]
    ) -> tuple[int, ...]:
        for index in left_inside:
            self.paths[index].append(right)
        for index in right_inside:
            self.paths[index].append(left)
        return left_inside + right_inside


def root_from(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root of a tree of `size` leaves that holds this leaf at this index; None when the path cannot be of such a tree."""
    if not 0 <= index < size:
        return None
    here, last, value = index, size - 1, sha256(b"\x00" + leaf).digest()
    for other in path:
        if last == 0:
            return None
        if here & 1 or here == last:
            value = sha256(b"\x01" + other + value).digest()
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            value = sha256(b"\x01" + value + other).digest()
        here, last = here >> 1, last >> 1
    return value if last == 0 else None
