"""What strikes next: of the kinds that a lane can play, one that was tried least so far."""

import random
import threading


class Schedule:
    """Each kind strikes `each` times, in whichever lane has nothing else to do. A kind that often
    misses is tried again and again at the end, but not for ever. No kind strikes in two lanes at
    once."""

    def __init__(self, kinds, each, seed):
        self.each = each
        self.rng = random.Random(seed)
        self.tried = {kind: 0 for kind in kinds}
        self.struck = dict(self.tried)
        self.playing = set()
        self.lock = threading.Lock()

    def wanted(self, kind):
        return self.struck[kind] < self.each and self.tried[kind] < 3 * self.each + 3

    def take(self, lane):
        """A kind and the number of this try; None when nothing is left for this lane."""
        with self.lock:
            able = [kind for kind in self.tried if kind.lane == lane and kind not in self.playing
                    and self.wanted(kind)]
            if not able:
                return None
            fewest = min(self.tried[kind] for kind in able)
            kind = self.rng.choice([kind for kind in able if self.tried[kind] == fewest])
            self.tried[kind] += 1
            self.playing.add(kind)
            return kind, self.tried[kind]

    def done(self, kind, struck):
        with self.lock:
            self.playing.remove(kind)
            self.struck[kind] += struck

    def short_of(self):
        """Kinds that did not strike as often as they should have: (kind, how often)."""
        return [(kind, struck) for kind, struck in self.struck.items() if struck < self.each]
