#include "tests/sim/sim_publisher.h"

void sim_publisher_init(struct sim_publisher *publisher, struct sim *sim, struct sim_oracle *oracle)
{
    *publisher = (struct sim_publisher){ .sim = sim, .oracle = oracle };
    publisher->room = sim_one_in(sim, 3) ? 1 + sim_below(sim, 5) : PUBLISHER_QUEUE;
}

static bool publish(void *self, uint64_t ticket, const struct message *message)
{
    struct sim_publisher *publisher = self;
    struct sim *sim = publisher->sim;
    publisher->on_call(publisher->worker);
    if (*publisher->crashed)
        return false;
    if (publisher->count >= publisher->room) {
        sim_cover(sim, COVER_QUEUE_FULL);
        return false;
    }
    int64_t before =
        publisher->count == 0
            ? sim->now_ms
            : publisher->queue[(publisher->first + publisher->count - 1) % PUBLISHER_QUEUE]
                  .confirmed_ms;
    int64_t delay = sim_strikes(sim, 100) ? sim_below(sim, 5000)
                    : sim_one_in(sim, 3)  ? sim_below(sim, 20)
                                          : 0;
    int64_t at = sim->now_ms + delay;
    publisher->queue[(publisher->first + publisher->count++) % PUBLISHER_QUEUE] =
        (struct sim_message){ .ticket = ticket,
                              .telling = oracle_offered(publisher->oracle, message),
                              .confirmed_ms = at > before ? at : before };
    return true;
}

int64_t sim_publisher_due_ms(const struct sim_publisher *publisher)
{
    if (publisher->count == 0)
        return INT64_MAX;
    int64_t due = publisher->queue[publisher->first].confirmed_ms;
    return due > publisher->stalled_until ? due : publisher->stalled_until;
}

static bool confirmed(void *self, uint64_t *ret_ticket)
{
    struct sim_publisher *publisher = self;
    publisher->on_call(publisher->worker);
    if (*publisher->crashed || sim_publisher_due_ms(publisher) > publisher->sim->now_ms)
        return false;
    struct sim_message *message = &publisher->queue[publisher->first];
    *ret_ticket = message->ticket;
    oracle_confirmed(publisher->oracle, &message->telling);
    publisher->first = (publisher->first + 1) % PUBLISHER_QUEUE;
    publisher->count--;
    return true;
}

struct publisher sim_publisher_port(struct sim_publisher *publisher)
{
    return (struct publisher){ .self = publisher, .publish = publish, .confirmed = confirmed };
}

void sim_publisher_crash(struct sim_publisher *publisher)
{
    if (publisher->count > 0)
        sim_cover(publisher->sim, COVER_UNSENT_LOST);
    publisher->count = 0;
}
