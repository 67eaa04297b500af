"""
A py-libp2p peer to test against. It listens on TCP and QUIC, says where in the
first line that it prints, and obeys commands: a line of JSON each, answered by a
line of JSON. It ends when its input does.
"""

import hashlib
from importlib.metadata import version
import json
import logging
import os
import sys

from libp2p import new_host
from libp2p.host.ping import ID as PING, handle_ping, perform_ping_roundtrip
from libp2p.network.stream.exceptions import StreamEOF, StreamReset
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr
import trio

# it is what streams say that is tested
logging.disable(logging.CRITICAL)

SLOWNESS = 0.3  # seconds


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def read_some(stream, size=65_536):
    """Returns no bytes at the end."""
    try:
        return await stream.read(size)
    except StreamEOF:
        pass

    # over QUIC that was not always the end: see ../upstream/py-libp2p-quic-tail.md
    try:
        return await stream.read(size)
    except StreamEOF:
        return b""


async def read_exactly(stream, size):
    data = b""

    while len(data) < size:
        chunk = await read_some(stream, size - len(data))

        if not chunk:
            raise EOFError

        data += chunk

    return data


async def echo(stream):
    while chunk := await read_some(stream):
        await stream.write(chunk)


async def speak_first(stream):
    await stream.write(b"welcome")


async def sink(stream):
    """
    Answers with what it got when it has ended. It says so, and that it has begun, on
    stdout as well: that is how a test knows while it holds our answers.
    """
    checksum = hashlib.sha256()
    total = 0

    while chunk := await read_some(stream):
        if total == 0:
            say({"event": "received", "data": chunk[:64].decode(errors="replace")})

        checksum.update(chunk)
        total += len(chunk)

    say({"event": "ended", "bytes": total})
    await stream.write(json.dumps({"bytes": total, "sha256": checksum.hexdigest()}).encode())


async def slow(stream):
    await trio.sleep(SLOWNESS)
    await sink(stream)


async def length_prefixed(stream):
    """Sends back each message that it gets."""
    while prefix := await read_some(stream, 1):
        while prefix[-1] & 0x80:
            prefix += await read_exactly(stream, 1)

        length = sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(prefix))
        await stream.write(prefix + await read_exactly(stream, length))


def handler(handle):
    async def handle_stream(stream):
        try:
            await handle(stream)
            await stream.close()
        except Exception:
            await stream.reset()

    return handle_stream


HANDLERS = {
    "/interop/echo/1.0.0": echo,
    "/interop/other/1.0.0": echo,
    "/interop/dropped/1.0.0": echo,
    "/interop/speak-first/1.0.0": speak_first,
    "/interop/sink/1.0.0": sink,
    "/interop/slow/1.0.0": slow,
    "/interop/lp/1.0.0": length_prefixed,
}


async def ping(stream, _):
    await perform_ping_roundtrip(stream)


async def exchange(stream, size):
    """Sends a request, ends it, and wants the same bytes back."""
    request = bytes([7]) * size
    await stream.write(request)
    await stream.close_write()

    if await read_exactly(stream, size) != request:
        raise ValueError("the answer is not the request")

    try:
        if await read_some(stream):
            raise ValueError("the answer does not end")
    except StreamReset:
        # over QUIC py-libp2p also says so when both have ended what they write
        pass


async def exchange_all(host, command):
    info = info_from_p2p_addr(Multiaddr(command["to"]))
    protocol = command["protocol"]
    left = command["streams"]
    answered = 0
    failures = []

    await host.connect(info)

    async def one():
        nonlocal answered

        try:
            with trio.fail_after(command["timeout"] / 1000):
                stream = await host.new_stream(info.peer_id, [protocol])
                await (ping if protocol == PING else exchange)(stream, command["size"])
                await stream.close()
            answered += 1
        except Exception as error:
            failures.append(repr(error))

    async def work():
        nonlocal left

        while left > 0:
            left -= 1
            await one()

    async with trio.open_nursery() as nursery:
        for _ in range(command["concurrency"]):
            nursery.start_soon(work)

    return {"answered": answered, "failures": failures}


async def obey(host, command):
    try:
        if command["command"] == "drop":
            host.remove_stream_handler(command["protocol"])
            answer = {}
        elif command["command"] == "exchange":
            answer = await exchange_all(host, command)
        else:
            raise ValueError(f"there is no command {command['command']}")
    except Exception as error:
        answer = {"error": repr(error)}

    say({"id": command["id"], **answer})


async def main():
    addrs = [Multiaddr("/ip4/127.0.0.1/tcp/0"), Multiaddr("/ip4/127.0.0.1/udp/0/quic-v1")]
    host = new_host(listen_addrs=addrs)

    async with host.run(listen_addrs=addrs), trio.open_nursery() as nursery:
        for protocol, handle in HANDLERS.items():
            host.set_stream_handler(protocol, handler(handle))

        host.set_stream_handler(PING, handle_ping)
        say({"peer": f"py-libp2p {version('libp2p')}", "addrs": [str(addr) for addr in host.get_addrs()]})

        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            nursery.start_soon(obey, host, json.loads(line))

        # open connections would keep it from ending
        os._exit(0)


trio.run(main)
