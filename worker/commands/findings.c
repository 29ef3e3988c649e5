#include "worker/commands/findings.h"
#include "worker/commands/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char *level_name(enum finding_level level)
{
    switch (level) {
    case FINDING_OK:
        return "ok";
    case FINDING_FIXED:
        return "fixed";
    case FINDING_WARN:
        return "warn";
    case FINDING_FAIL:
        return "fail";
    }
    return "fail";
}

bool findings_init(struct findings *findings)
{
    *findings = (struct findings){ .list = json_array(), .whole = true };
    return findings->list != NULL;
}

void findings_release(struct findings *findings)
{
    json_decref(findings->list);
    findings->list = NULL;
}

static void add(struct findings *findings, enum finding_level level, const char *area,
                const char *next_step, const char *what)
{
    findings->fails += level == FINDING_FAIL;
    findings->warns += level == FINDING_WARN;
    document_item(&findings->whole, findings->list,
                  json_pack("{s:s, s:s, s:s, s:s?}", "level", level_name(level), "area", area,
                            "what", what, "next_step", next_step));
}

void finding_add(struct findings *findings, enum finding_level level, const char *area,
                 const char *next_step, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    add(findings, level, area, next_step, what);
    if (level == FINDING_FAIL)
        findings->code = EX_CONFIG;
}

void finding_unreachable(struct findings *findings, const char *area, const char *text)
{
    add(findings, FINDING_FAIL, area, NULL, text);
    /* Who cannot be asked may have more to mend: that comes first. */
    if (findings->code == EX_OK)
        findings->code = EX_UNAVAILABLE;
}

void findings_print(const struct findings *findings)
{
    size_t i;
    const json_t *finding;
    json_array_foreach(findings->list, i, finding)
    {
        const char *next_step = json_string_value(json_object_get(finding, "next_step"));
        (void)printf("%-5s  %-10s  %s\n", json_string_value(json_object_get(finding, "level")),
                     json_string_value(json_object_get(finding, "area")),
                     json_string_value(json_object_get(finding, "what")));
        if (next_step != NULL)
            (void)printf("       %-10s  -> %s\n", "", next_step);
    }
    (void)printf("\n%s: %d failure%s, %d warning%s\n", findings->fails > 0 ? "not ready" : "ready",
                 findings->fails, findings->fails == 1 ? "" : "s", findings->warns,
                 findings->warns == 1 ? "" : "s");
}

int findings_print_json(const struct findings *findings)
{
    json_t *document = json_pack("{s:s, s:b, s:i, s:i, s:O}", "version", ATTEMPTD_VERSION, "ready",
                                 (int)(findings->fails == 0), "failures", findings->fails,
                                 "warnings", findings->warns, "findings", findings->list);
    int code = document_print("doctor", document, JSON_INDENT(2));
    json_decref(document);
    return code;
}

int findings_exit_code(const struct findings *findings)
{
    return findings->fails == 0 ? EX_OK : findings->code;
}
