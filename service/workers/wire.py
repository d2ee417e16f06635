"""What front and model processes tell each other: frames of bytes over a socket.

A frame is a header of its payload's length (uint32, little-endian) and its kind, then the payload.
The first frame of a process is a `Ready` or a `Refused`; then it answers each request, the body as
it came, with a `Reply`.
"""

from __future__ import annotations

import socket
from struct import Struct

import msgspec

HEADER = Struct("<IB")
JSON, ARROW = 0, 1
"""Kinds of requests; frames that answer are of kind 0."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """A version is loaded and warm: its assignment and the inputs of its models."""

    assignment_id: str
    text: tuple[str, ...]
    numbers: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A version cannot be served."""

    reason: str


class ModelCall(msgspec.Struct, frozen=True):
    """One call of a model."""

    model: str
    seconds: float


class Group(msgspec.Struct, frozen=True):
    """How many candidates of an answer went one way."""

    task: str
    reason: str
    model: str
    variant: str
    candidates: int


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request, and what metrics and the decision log make of it."""

    status: int
    content: bytes
    seconds: float = 0.0
    """From the whole body read to the answer ready."""
    groups: tuple[Group, ...] = ()
    scored: tuple[ModelCall, ...] = ()
    decision: str | None = None
    """Line of the decision log, where one is kept."""


encode = msgspec.msgpack.encode
decode_start = msgspec.msgpack.Decoder(Ready | Refused).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def write_frame(to: socket.socket, payload: bytes, kind: int = 0) -> None:
    to.sendall(HEADER.pack(len(payload), kind) + payload)


def read_frame(source: socket.socket) -> tuple[bytearray, int] | None:
    """Payload and kind of the next frame; None when the other side is gone."""
    head = _read(source, HEADER.size)
    if head is None:
        return None
    length, kind = HEADER.unpack(head)
    payload = _read(source, length)
    return None if payload is None else (payload, kind)


def _read(source: socket.socket, n: int) -> bytearray | None:
    data = bytearray(n)
    view, have = memoryview(data), 0
    while have < n:
        got = source.recv_into(view[have:])
        if not got:
            return None
        have += got
    return data
