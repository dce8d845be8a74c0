"""What is drawn of an offer is kept while the offer is, and not without bound."""

from weakref import WeakSet

from preference_center.preferences.offer import Offer


class Page:
    """What somebody is shown."""


def test_what_many_are_shown_is_drawn_once() -> None:
    offer = Offer([])
    assert offer.once("all", Page) is offer.once("all", Page)
    assert offer.once("all", Page) is not offer.once("some", Page)


def test_only_so_much_is_kept_and_the_rest_is_drawn_each_time() -> None:
    offer, kept = Offer([]), WeakSet[Page]()
    first = offer.once("all", Page)
    for number in range(5000):
        kept.add(offer.once(number, Page))
    assert len(kept) <= 500
    assert offer.once("all", Page) is first
    assert isinstance(offer.once("one more", Page), Page)
