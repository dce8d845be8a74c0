"""What our sender is measured against: Postfix's smtp-source and smtp-sink, and OpenSSL; `plain_python.py` is the rest.

smtp-source, smtp-sink and, if there is one, fastsink (any quick sink with CHUNKING that takes a port) are looked for in the
folders that BENCH_TOOLS names and in the PATH. On Debian they come with the package postfix, which need not be started.
"""

import os
import re
import shutil
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZE = 17_200  # octets of the newsletter on the wire; ours has 18,000, for its foot must withstand any style around it


def tool(name: str) -> str | None:
    """Where this program is, if it is anywhere."""
    folders = os.pathsep.join(
        filter(None, (os.environ.get("BENCH_TOOLS", ""), os.environ.get("PATH", ""), "/usr/sbin"))
    )
    return shutil.which(name, path=folders)


def missing() -> str:
    """One line that says what is not here, or nothing."""
    lost = [name for name in ("smtp-source", "smtp-sink", "openssl") if tool(name) is None]
    if not lost:
        return ""
    return (
        f"Not found: {', '.join(lost)}. Name their folder in BENCH_TOOLS, or install Debian's postfix and openssl; "
        "what needs them is left out."
    )


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Postfix's own sink; its port."""
    program, port = tool("smtp-sink"), _free_port()
    assert program is not None
    as_nobody = ["-u", "nobody"] if os.getuid() == 0 else []
    with _running([program, *as_nobody, f"127.0.0.1:{port}", "1000"], _environment(program)):
        _wait_for(port)
        yield port


@contextmanager
def chunking_sink(delay_ms: float = 0) -> Iterator[int]:
    """A sink that offers CHUNKING: fastsink, or ours."""
    program = tool("fastsink")
    if program is not None and not delay_ms:
        port = _free_port()
        with _running([program, str(port)]):
            _wait_for(port)
            yield port
        return
    with own_sink("--chunking", "--delay-ms", str(delay_ms)) as port:
        yield port


@contextmanager
def own_sink(*options: str) -> Iterator[int]:
    """bench/sink.py in a process of its own; its port."""
    port = _free_port()
    with _running([sys.executable, str(HERE / "sink.py"), "--port", str(port), *options]):
        _wait_for(port)
        yield port


def smtp_source(port: int, messages: int) -> float:
    """Messages a second of `smtp-source -d -s 16` with our size."""
    program = tool("smtp-source")
    assert program is not None
    command = [program, "-d", "-s", "16", "-l", str(SIZE), "-m", str(messages), "-f", "a@sender.example"]
    begun = time.perf_counter()
    subprocess.run([*command, "-t", "b@c.example", f"127.0.0.1:{port}"], check=True, env=_environment(program))
    return messages / (time.perf_counter() - begun)


def rsa_signatures(seconds: int = 3) -> float:
    """RSA-2048 signatures a second on two cores, as OpenSSL itself counts them."""
    program = tool("openssl")
    assert program is not None
    told = subprocess.run(
        [program, "speed", "-multi", "2", "-seconds", str(seconds), "rsa2048"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"^rsa\s+2048 bits\s+\S+\s+\S+\s+([\d.]+)", told.stdout, re.MULTILINE)
    assert found, told.stdout
    return float(found[1])


def connection_a_message(port: int, data: bytes, messages: int) -> float:
    """Messages a second of smtplib that connects anew for each."""
    begun = time.perf_counter()
    for number in range(messages):
        with smtplib.SMTP("127.0.0.1", port) as relay:
            relay.sendmail("a@sender.example", [f"person{number}@example.org"], data)
    return messages / (time.perf_counter() - begun)


def _environment(program: str) -> dict[str, str]:
    """Postfix's own libraries lie beside its programs, also where it was only unpacked."""
    libraries = Path(program).parent.parent / "lib" / "postfix"
    return os.environ | ({"LD_LIBRARY_PATH": str(libraries)} if libraries.is_dir() else {})


@contextmanager
def _running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the sink did not start")
