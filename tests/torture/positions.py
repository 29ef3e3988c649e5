"""The file that a tortured process maps: where it has been, and what is to fail (torture.h)."""

import os
import struct
import subprocess

DEPTH = 6
POSITIONS = 16384
HEADER = struct.Struct("<QII")
POSITION = struct.Struct("<Q%dII44s" % DEPTH)
SIZE = HEADER.size + POSITIONS * POSITION.size


class Position:
    def __init__(self, call, hash_, frames, count):
        self.call, self.hash, self.frames, self.count = call, hash_, frames, count
        self.site = call, frames[0]


def arm(path, hash_=0, times=0):
    """A new file in which the call number `times` at position `hash_` fails; 0: none does."""
    with open(path, "wb") as file:
        file.write(HEADER.pack(hash_, times, 0))
        file.truncate(SIZE)


def failed(path):
    with open(path, "rb") as file:
        return HEADER.unpack(file.read(HEADER.size))[2] != 0


def visited(path):
    """The positions, in an order that is the same on each run."""
    found = []
    with open(path, "rb") as file:
        file.seek(HEADER.size)
        for hash_, *frames, count, call in POSITION.iter_unpack(file.read()):
            if hash_:
                frames = tuple(frame for frame in frames if frame) or (0,)
                found.append(Position(call.rstrip(b"\0").decode(), hash_, frames, count))
    if len(found) > POSITIONS // 2:
        raise SystemExit("torture: more positions than the file has room for")
    return sorted(found, key=lambda p: (p.frames[::-1], p.call))


def describe(binary, position):
    """`malloc < buf_reserve (common/buf.c:38) < ...`"""
    addresses = [hex(frame - 1) for frame in position.frames]
    lines = subprocess.run(["addr2line", "-f", "-s", "-e", binary, *addresses], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split("\n")
    callers = ["%s (%s)" % (lines[2 * i], lines[2 * i + 1]) for i in range(len(addresses))]
    return " < ".join([position.call, *callers])


def remove(path):
    if os.path.exists(path):
        os.remove(path)
