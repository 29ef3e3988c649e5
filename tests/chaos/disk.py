"""A disk that fills up: the outcome tables live in a tablespace on a small tmpfs."""

import os
import subprocess
import time

from servers import run

SIZE = "160m"
TABLES = ("submissions", "rejected_writes", "dead_letters")


class Disk:
    """`why_not` says why there is none: only root may mount."""

    def __init__(self, folder):
        self.mount = os.path.join(folder, "disk")
        self.mounted = False
        self.why_not = None if os.getuid() == 0 else "only root may mount a small disk"

    def set_up(self, servers, admin):
        if self.why_not:
            return
        os.makedirs(self.mount)
        try:
            run("mount", "-t", "tmpfs", "-o", "size=" + SIZE, "tmpfs", self.mount)
        except (RuntimeError, OSError) as error:
            self.why_not = "no tmpfs may be mounted here: %s" % str(error).splitlines()[0]
            return
        self.mounted = True
        place = os.path.join(self.mount, "tables")
        os.makedirs(place)
        home = os.stat(os.path.join(servers.postgres_dir, "home"))
        os.chown(place, home.st_uid, home.st_gid)
        os.chmod(self.mount, 0o711)
        admin.ask("CREATE TABLESPACE chaos_disk LOCATION '%s'" % place)
        admin.ask("GRANT CREATE ON TABLESPACE chaos_disk TO attemptd")
        for table in TABLES:
            admin.ask("ALTER TABLE %s SET TABLESPACE chaos_disk" % table)

    def fill(self, chaos, missed):
        """Full for some seconds, until PostgreSQL has complained, and free again."""
        log = os.path.join(chaos.servers.postgres_dir, "home", "log")
        before = os.path.getsize(log)
        filler = os.path.join(self.mount, "filler")
        try:
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(1 << 16))
                except OSError:
                    pass
            complained = False
            deadline = time.monotonic() + 15
            while not complained and time.monotonic() < deadline:
                time.sleep(0.5)
                with open(log, "rb") as text:
                    text.seek(before)
                    complained = b"No space left on device" in text.read()
            time.sleep(2)
        finally:
            os.unlink(filler)
        if not complained:
            raise missed("nothing wanted to be written")
        return "53100 until there was room"

    def release(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.mount], check=False)
            os.rmdir(self.mount)
