/*
 * The protocol of the ledger, of one partition: two workers, a group that believes in one of them,
 * and a database.
 *
 *     claim:  epoch + 1; read where the ledger stands; tell [published, next) again
 *     flush:  one transaction: compare-and-set of next under our epoch, and the rows
 *     tell:   after the commit is known, and before `published` moves over it
 *
 * What goes wrong, FAULTS times in all, in every order: a worker crashes anywhere, the group moves
 * the partition while the old owner goes on (a zombie), the answer to COMMIT is lost and the old
 * backend commits or rolls back whenever it likes, holding the row's lock until then.
 *
 * What must hold: each record is applied exactly once and in order; only who claimed last commits;
 * nothing is told before its commit; nothing counts as published that was not told; and, because
 * spin looks for states in which nothing can go on, all comes to its end.
 *
 * tests/model/check runs it, then each of the mutants below, which must all fail:
 * NO_COMPARE, NO_EPOCH, ASSUME_COMMITTED, TELL_FIRST, MARK_FIRST, NO_RECALL.
 */

#ifndef RECORDS
#define RECORDS 3
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#define NOBODY  0
#define BACKEND 3 /* of a connection that is gone */

/* The ledger row, its lock, and the rows. */
byte next, published, epoch, lock;
bool applied[RECORDS];

/* A transaction that was left behind. */
byte late_epoch, late_to, late_published;

bool told[RECORDS];
byte owner = 1;
byte faults = FAULTS;

#define STRIKES  atomic { faults > 0 -> faults-- }
#define FINISHED (published == RECORDS)

inline commit(its_epoch, to, confirmed)
{
    assert(its_epoch == epoch);
#ifdef NO_COMPARE
    k = from;
#else
    k = next;
#endif
    do
    :: k < to ->
        assert(!applied[k]);
        assert(k == 0 || applied[k - 1]);
        applied[k] = true;
        k++
    :: else -> break
    od;
    next = to;
    publish(confirmed)
}

inline publish(confirmed)
{
    if
    :: confirmed > published ->
        assert(confirmed <= next);
        k = published;
        do
        :: k < confirmed -> assert(told[k]); k++
        :: else -> break
        od;
        published = confirmed
    :: else
    fi;
    k = 0
}

/* To the world, one message after the other; a worker may crash between any two. */
inline tell(first, last)
{
    i = first;
    do
    :: i < last ->
        atomic { assert(applied[i]); told[i] = true; i++ }
    :: atomic { i < last && faults > 0 -> faults-- } -> goto crashed
    :: i >= last -> break
    od
}

proctype worker(byte me)
{
    byte mine, from, to, confirmed, i, k;

crashed:
    atomic { mine = 0; from = 0; to = 0; confirmed = 0; i = 0; k = 0 }
claim:
    if
    :: FINISHED -> goto done
    :: atomic { owner == me && lock == NOBODY && !FINISHED ->
           epoch++; mine = epoch; from = next; confirmed = published }
    fi;
#ifdef NO_RECALL
    confirmed = from;
#else
    tell(confirmed, from);
    confirmed = from;
#endif

running:
    if
    :: from == RECORDS && published == RECORDS -> goto done
    :: atomic { from < RECORDS -> to = from + 1 }
    :: atomic { from + 1 < RECORDS -> to = from + 2 }
    :: confirmed > 0 && lock == NOBODY -> /* idle: published moves on its own */
        atomic {
            if
            :: lock == NOBODY && epoch == mine && confirmed > published -> publish(confirmed)
            :: epoch != mine -> goto claim
            :: else
            fi
        };
        if
        :: from == RECORDS -> goto running
        :: else -> to = from + 1
        fi
    :: STRIKES -> goto crashed
    fi;
#ifdef TELL_FIRST
    tell(from, to);
#endif
#ifdef MARK_FIRST
    confirmed = to;
#endif

open: /* waits for the lock, then looks at the row as it is */
    atomic {
        lock == NOBODY;
        if
#if defined(NO_COMPARE)
        :: true -> lock = me
#elif defined(NO_EPOCH)
        :: next == from -> lock = me
        :: else -> goto claim
#else
        :: next == from && epoch == mine -> lock = me
        :: else -> goto claim
#endif
        fi
    };

close:
    if
    :: atomic { true -> commit(mine, to, confirmed); lock = NOBODY }
    :: atomic { faults > 0 -> faults--; late_epoch = mine; late_to = to; late_published = confirmed;
           lock = BACKEND }
        if
        :: true -> goto unknown
        :: goto crashed
        fi
    fi;
    goto committed;

unknown:
#ifdef ASSUME_COMMITTED
    goto committed;
#endif
    atomic {
        lock == NOBODY;
        if
        :: epoch != mine -> goto claim
        :: epoch == mine && next == to -> goto committed
        :: else -> goto open
        fi
    };

committed:
    tell(from, to);
    atomic { from = to; confirmed = to };
    goto running;

done:
    skip
}

/* What became of a COMMIT that nobody heard of. */
proctype backend()
{
    byte from, k;
end:
    do
    :: atomic { lock == BACKEND ->
           if
           :: from = next; commit(late_epoch, late_to, late_published)
           :: true
           fi;
           lock = NOBODY }
    od
}

/* The group finds the owner dead or silent, or only slow. */
proctype group()
{
end:
    do
    :: atomic { faults > 0 -> faults--; owner = 3 - owner }
    od
}

init
{
    atomic { run worker(1); run worker(2); run backend(); run group() }
}
