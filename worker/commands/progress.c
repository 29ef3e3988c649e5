#include "worker/commands/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void progress_start(struct progress *progress, bool quiet)
{
    *progress = (struct progress){ .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1 };
}

bool progress_due(struct progress *progress, int64_t now_ms)
{
    int64_t every_ms = progress->terminal ? 200 : 2000;
    if (progress->quiet || now_ms < progress->next_ms)
        return false;
    bool first = progress->next_ms == 0;
    progress->next_ms = now_ms + every_ms;
    return !first; /* what is over at once needs no line */
}

void progress_show(struct progress *progress, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, progress->terminal ? "\r\033[K%s" : "%s\n", text);
    progress->shown = progress->terminal;
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        (void)fputs("\r\033[K", stderr);
    progress->shown = false;
}
