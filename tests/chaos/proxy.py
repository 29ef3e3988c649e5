"""Links that can be cut, stalled and slowed down: a TCP proxy, with just enough of PostgreSQL's
protocol to know a COMMIT when it passes.

All links live in one event loop in a thread of its own; the methods of Link are called from other
threads. A stalled link keeps its connections open and lets nothing through, and takes new ones
that get no answer either: what a black hole looks like from inside.
"""

import asyncio
import struct
import threading


class Loop:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, function, *args):
        async def run():
            return function(*args)
        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


class Connection:
    """One client's connection through a link."""

    def __init__(self, link, reader, writer):
        self.link = link
        self.client_reader, self.client_writer = reader, writer
        self.server_writer = None
        self.started = False  # the start-up packet has passed
        self.rest = b""
        self.commits = set()  # names of prepared statements that are a COMMIT
        self.committing = False  # the COMMIT has passed, the Sync behind it not yet
        self.swallow = False  # the server's next answer never arrives

    def close(self):
        if self.swallow and not self.link.struck.is_set():
            self.link.at_commit = self.link.plan  # something else cut it before the answer came
        self.swallow = False
        for writer in (self.client_writer, self.server_writer):
            if writer is not None:
                writer.transport.abort()
        self.link.connections.discard(self)

    async def serve(self):
        self.link.connections.add(self)
        try:
            await self.link.open.wait()
            server_reader, self.server_writer = await asyncio.open_connection(
                "127.0.0.1", self.link.target)
            forward = self.forward_messages if self.link.postgres else self.forward_bytes
            await asyncio.gather(forward(), self.answer(server_reader))
        except (OSError, EOFError):
            pass
        finally:
            self.close()

    async def forward_bytes(self):
        while data := await self.client_reader.read(65536):
            await self.link.open.wait()
            self.server_writer.write(data)
            await self.server_writer.drain()
        raise EOFError

    async def answer(self, server_reader):
        while data := await server_reader.read(65536):
            await self.link.open.wait()
            if self.swallow:
                if b"COMMIT" in data:
                    self.link.struck.set()
                    raise EOFError
                continue
            self.client_writer.write(data)
            await self.client_writer.drain()
        raise EOFError

    # ------------------------------------------------------------------------ PostgreSQL

    async def forward_messages(self):
        while data := await self.client_reader.read(65536):
            self.rest += data
            out = []
            while (message := self.take()) is not None:
                out.append(message)
                if self.link.statement_delay_s and message[:1] == b"E" and self.started:
                    await self.send(out)
                    await asyncio.sleep(self.link.statement_delay_s)
                if self.cut_before(message):
                    out.pop()
                    await self.send(out)
                    self.link.struck.set()
                    raise EOFError
            await self.send(out)
        raise EOFError

    async def send(self, messages):
        await self.link.open.wait()
        self.server_writer.write(b"".join(messages))
        messages.clear()
        await self.server_writer.drain()

    def take(self):
        """The next whole message, or None. Those of the start-up have no type."""
        head = 1 if self.started else 0
        if len(self.rest) < head + 4:
            return None
        size = head + struct.unpack_from("!i", self.rest, head)[0]
        if len(self.rest) < size:
            return None
        message, self.rest = self.rest[:size], self.rest[size:]
        if not self.started and struct.unpack_from("!i", message, 4)[0] >> 16 == 3:
            self.started = True
        elif message[:1] == b"P":
            name, text = message[5:].split(b"\0")[:2]
            if text.strip().rstrip(b";").upper().endswith(b"COMMIT"):
                self.commits.add(name)
        return message

    def is_commit(self, message):
        return message[:1] == b"B" and message[5:].split(b"\0")[1] in self.commits

    def cut_before(self, message):
        """What was asked for at the next COMMIT. True when the message must not pass."""
        if not self.started:
            return False
        if self.is_commit(message):
            plan, self.link.at_commit = self.link.at_commit, None
            if plan == "before":
                return True
            self.swallow = plan == "after"
            if plan == "tell":
                self.link.struck.set()
        return False


class Link:
    def __init__(self, loop, target, port, postgres=False):
        self.loop, self.target, self.port, self.postgres = loop, target, port, postgres
        self.connections = set()
        self.plan = self.at_commit = None
        self.statement_delay_s = 0
        self.struck = threading.Event()
        self.open = loop.call(asyncio.Event)
        loop.call(self.open.set)
        loop.wait(self.listen())

    async def listen(self):
        async def serve(reader, writer):
            await Connection(self, reader, writer).serve()
        self.server = await asyncio.start_server(serve, "127.0.0.1", self.port)

    def cut(self):
        """Every connection ends at once; new ones are let through. Returns how many there were."""
        def run():
            connections = list(self.connections)
            for connection in connections:
                connection.close()
            return len(connections)
        return self.loop.call(run)

    def stall(self, stalled):
        self.loop.call(self.open.clear if stalled else self.open.set)

    def arm(self, plan):
        """At the next COMMIT: `before` cuts the link instead of letting it pass, `after` cuts it
        when the server has answered, `tell` only says so. self.struck is set when it has happened.
        """
        self.struck.clear()
        self.plan = self.at_commit = plan

    def disarm(self):
        self.plan = self.at_commit = None
