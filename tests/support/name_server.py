"""A real name server on a socket of ours: it knows the names of its zone, and can be silent."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

Zone = Mapping[str, list[str]]  # "shop.pl MX": ["10 mail.shop.pl."]


@contextmanager
def name_server(zone: Zone, *, silent: bool = False) -> Iterator[tuple[dns.resolver.Resolver, list[str]]]:
    """A resolver that asks it, and the questions it was asked. Names that begin with `broken` are a fault of the server."""
    asked: list[str] = []
    names = {key.split()[0] for key in zone}
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                data, sender = sock.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            name = query.question[0].name.to_text().rstrip(".").lower()
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            asked.append(f"{name} {kind}")
            if silent:
                continue
            answer = dns.message.make_response(query)
            if records := zone.get(f"{name} {kind}"):
                answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *records))
            elif name.startswith("broken"):
                answer.set_rcode(dns.rcode.SERVFAIL)
            elif name not in names:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            sock.sendto(answer.to_wire(), sender)

    threading.Thread(target=serve, daemon=True).start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], sock.getsockname()[1], 1.0
    try:
        yield resolver, asked
    finally:
        sock.close()


def text(value: str) -> str:
    """A TXT record: strings of 255 characters at most, as a zone file has them."""
    return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
