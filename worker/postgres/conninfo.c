#include "worker/postgres/conninfo.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* PQconninfoParse() reads no numbers; connecting does, and quotes what is none. */
static bool numbers_valid(const PQconninfoOption *option)
{
    static const char digits[] = "0123456789,";
    for (; option->keyword != NULL; option++)
        if (strcmp(option->keyword, "port") == 0 && option->val != NULL &&
            strspn(option->val, digits) != strlen(option->val))
            return false;
    return true;
}

bool conninfo_valid(const char *conninfo)
{
    if (conninfo == NULL || (strstr(conninfo, "://") == NULL && strchr(conninfo, '=') == NULL))
        return true;
    char *message = NULL;
    PQconninfoOption *parsed = PQconninfoParse(conninfo, &message);
    bool valid = parsed != NULL && numbers_valid(parsed);
    PQfreemem(message);
    PQconninfoFree(parsed);
    return valid;
}
