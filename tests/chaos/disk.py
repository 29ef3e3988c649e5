"""Disks that fill up: the outcome tables and PostgreSQL's own log live on a small tmpfs each."""

import contextlib
import os
import shutil
import subprocess
import time

from kinds import Missed
from servers import Gone, run, wait_until

TABLES = ("submissions", "rejected_writes", "dead_letters")


class Disk:
    """`why_not` says why there is none: only root may mount."""

    def __init__(self, mount, size):
        self.mount, self.size = mount, size
        self.mounted = False
        self.why_not = None if os.getuid() == 0 else "only root may mount a small disk"

    def make_room(self, servers):
        """A folder on it that belongs to PostgreSQL's user; None where there is none."""
        if self.why_not:
            return None
        os.makedirs(self.mount)
        try:
            run("mount", "-t", "tmpfs", "-o", "size=" + self.size, "tmpfs", self.mount)
        except (RuntimeError, OSError) as error:
            self.why_not = "no tmpfs may be mounted here: %s" % str(error).splitlines()[0]
            return None
        self.mounted = True
        place = os.path.join(self.mount, "postgres")
        os.makedirs(place, 0o700)
        home = os.stat(os.path.join(servers.postgres_dir, "home"))
        os.chown(place, home.st_uid, home.st_gid)
        os.chmod(self.mount, 0o711)
        return place

    @contextlib.contextmanager
    def full(self):
        filler = os.path.join(self.mount, "filler")
        try:
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(1 << 16))
                except OSError:
                    pass
            yield
        finally:
            os.unlink(filler)

    def release(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.mount], check=False)
            os.rmdir(self.mount)


class Disks:
    def __init__(self, folder):
        self.tables = Disk(os.path.join(folder, "disk"), "160m")
        self.wal = Disk(os.path.join(folder, "wal"), "320m")

    def set_up(self, servers, admin):
        if place := self.tables.make_room(servers):
            admin.ask("CREATE TABLESPACE chaos_disk LOCATION '%s'" % place)
            admin.ask("GRANT CREATE ON TABLESPACE chaos_disk TO attemptd")
            for table in TABLES:
                admin.ask("ALTER TABLE %s SET TABLESPACE chaos_disk" % table)
        if place := self.wal.make_room(servers):
            admin.ask("ALTER SYSTEM SET max_wal_size = '128MB'")
            servers.tool("postgres", "stop", servers.postgres_dir)
            wal = os.path.join(servers.postgres_dir, "home", "data", "pg_wal")
            run("cp", "-a", wal + "/.", place)
            shutil.rmtree(wal)
            os.symlink(place, wal)
            servers.tool("postgres", "start", servers.postgres_dir)

    def release(self):
        for disk in (self.tables, self.wal):
            disk.release()


def complaint(servers):
    """A question: has PostgreSQL said since that there is no room?"""
    log = os.path.join(servers.postgres_dir, "home", "log")
    before = os.path.getsize(log)

    def heard():
        time.sleep(0.5)
        with open(log, "rb") as text:
            text.seek(before)
            return b"No space left on device" in text.read()
    return heard


def fill_tables(chaos):
    heard = complaint(chaos.servers)
    with chaos.disks.tables.full():
        if not wait_until(15, heard):
            raise Missed("nothing wanted to be written")
        time.sleep(2)
    return "53100 until there was room"


def use_up_segments(db):
    """The exam writes too little to need a new one soon, and PostgreSQL keeps used ones."""
    try:
        for _ in range(64):
            db.once("SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 4000000))"
                    " FROM generate_series(1, 4)")
    except Gone:
        pass  # there it is


def fill_wal(chaos):
    """Without room for its log PostgreSQL gives up; it starts again when somebody has made some."""
    heard = complaint(chaos.servers)
    try:
        with chaos.disks.wal.full():
            use_up_segments(chaos.db)
            if not wait_until(10, heard):
                raise Missed("no new segment was wanted")
            time.sleep(2)
    finally:
        if chaos.servers.tool_fails("postgres", "status", chaos.servers.postgres_dir):
            chaos.servers.tool("postgres", "start", chaos.servers.postgres_dir)
    return "PostgreSQL gave up until there was room"
