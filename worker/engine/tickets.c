#include "worker/engine/tickets.h"

#include <stdlib.h>

void tickets_release(struct tickets *tickets)
{
    for (size_t i = 0; i < TICKETS_MAX; i++) {
        free(tickets->ring[i].spans);
        tickets->ring[i] = (struct ticket){ 0 };
    }
}

bool ticket_reserve(struct ticket *ticket, size_t span_count)
{
    if (span_count <= ticket->span_capacity)
        return true;
    struct ticket_span *spans = realloc(ticket->spans, span_count * sizeof *spans);
    if (spans == NULL)
        return false;
    ticket->spans = spans;
    ticket->span_capacity = span_count;
    return true;
}

bool tickets_open(struct tickets *tickets, size_t span_count, uint64_t *ret_number)
{
    if (tickets_full(tickets))
        return false;
    struct ticket *ticket = &tickets->ring[tickets->next % TICKETS_MAX];
    if (!ticket_reserve(ticket, span_count))
        return false;
    ticket->sealed = false;
    ticket->outstanding = 0;
    ticket->span_count = 0;
    *ret_number = tickets->next++;
    return true;
}

struct ticket *tickets_get(struct tickets *tickets, uint64_t number)
{
    if (number < tickets->oldest || number >= tickets->next)
        return NULL;
    return &tickets->ring[number % TICKETS_MAX];
}

void tickets_confirm(struct tickets *tickets, uint64_t number)
{
    struct ticket *ticket = tickets_get(tickets, number);
    if (ticket != NULL && ticket->outstanding > 0)
        ticket->outstanding--;
}

const struct ticket *tickets_complete(const struct tickets *tickets)
{
    if (tickets_empty(tickets))
        return NULL;
    const struct ticket *ticket = &tickets->ring[tickets->oldest % TICKETS_MAX];
    return ticket->sealed && ticket->outstanding == 0 ? ticket : NULL;
}

void tickets_pop(struct tickets *tickets)
{
    tickets->oldest++;
}
