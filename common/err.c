#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>

bool err_set(struct err *err, enum err_action action, const char *code, const char *format, ...)
{
    if (err == NULL)
        return false;
    err->action = action;
    (void)snprintf(err->code, sizeof err->code, "%s", code);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return false;
}

const char *err_action_name(enum err_action action)
{
    switch (action) {
    case ERR_NONE:
        return "none";
    case ERR_RETRY:
        return "retry";
    case ERR_RESOURCE:
        return "resource";
    case ERR_LOST:
        return "lost";
    case ERR_REJECT:
        return "reject";
    case ERR_HALT:
        return "halt";
    case ERR_BUG:
        return "bug";
    }
    return "unknown";
}
