#include "worker/postgres/sqlstate.h"

#include <string.h>

const struct sqlstate_rule sqlstate_rules[] = {
    { "08", ERR_LOST, "connection exception" },
    { "57P01", ERR_LOST, "terminated by an administrator" },
    { "57P02", ERR_LOST, "the server crashed" },
    { "57P03", ERR_LOST, "the server is starting up or shutting down" },
    { "57P05", ERR_LOST, "idle session timeout" },
    { "53300", ERR_LOST, "too many connections" },
    { "25006", ERR_LOST, "read-only: we were sent to a standby" },
    { "25P03", ERR_LOST, "idle in transaction for too long" },
    { "26000", ERR_LOST, "a pooler swapped the session under our prepared statements" },
    { "40003", ERR_LOST, "statement completion unknown" },

    { "40001", ERR_RETRY, "serialization failure" },
    { "40P01", ERR_RETRY, "deadlock" },
    { "55P03", ERR_RETRY, "lock not available" },
    { "57014", ERR_RETRY, "our own statement timeout" },
    { "55006", ERR_RETRY, "object in use" },

    { "53", ERR_RESOURCE, "disk, memory or configured limit" },
    { "58030", ERR_RESOURCE, "I/O error" },
    { "54023", ERR_RESOURCE, "too many arguments" },

    { "22", ERR_REJECT, "data exception" },
    { "23", ERR_REJECT, "integrity constraint violation" },
    { "44000", ERR_REJECT, "check option of a view" },
    { "54000", ERR_REJECT, "row or index entry too big" },
    { "54001", ERR_REJECT, "nested too deep" },
    { "P0001", ERR_REJECT, "raised by a trigger" },

    { "28", ERR_HALT, "authorization" },
    { "3D", ERR_HALT, "no such database" },
    { "3F", ERR_HALT, "no such schema" },
    { "42", ERR_HALT, "schema or privilege" },
    { "0A000", ERR_HALT, "not supported, or a cached plan outlived its table" },
    { "XX001", ERR_HALT, "data corrupted" },
    { "XX002", ERR_HALT, "index corrupted" },
    { "57P04", ERR_HALT, "the database was dropped" },
    { "F0", ERR_HALT, "configuration file" },

    { "21000", ERR_BUG, "the same row twice in one statement" },
    { "25P01", ERR_BUG, "no transaction" },
    { "25P02", ERR_BUG, "the transaction has failed already" },
};

const size_t sqlstate_rule_count = sizeof sqlstate_rules / sizeof sqlstate_rules[0];

enum err_action sqlstate_action(const char *sqlstate, bool connected)
{
    if (sqlstate == NULL || sqlstate[0] == '\0')
        return connected ? ERR_BUG : ERR_LOST;
    enum err_action action = ERR_BUG;
    size_t longest = 0;
    for (size_t i = 0; i < sqlstate_rule_count; i++) {
        const struct sqlstate_rule *rule = &sqlstate_rules[i];
        size_t length = strlen(rule->prefix);
        if (length > longest && strncmp(sqlstate, rule->prefix, length) == 0) {
            longest = length;
            action = rule->action;
        }
    }
    return action;
}

/* Prefixes as in the rules; the longest that fits counts. */
static const struct {
    const char *prefix, *advice;
} advices[] = {
    { "28", "check user and password in DATABASE_URL (or its file), and the server's pg_hba.conf" },
    { "3D", "check the name of the database in DATABASE_URL, or create it" },
    { "42501", "'attemptd doctor' prints the GRANT that is missing" },
    { "42", "the tables or functions are not as the migrations made them: 'attemptd migrate "
            "status' and 'attemptd doctor' say where; undo what was changed by hand" },
    { "25006", "it is a standby, or read-only by a setting: let DATABASE_URL name the primary, or "
               "both hosts, of which the one that takes writes is used" },
    { "53300", "a worker process needs three sessions: raise max_connections, or the connection "
               "limit of the role or the database" },
    { "53100", "make room on the server's disk: which file it could not extend, its log says" },
    { "53200", "the server is out of memory: look at its work_mem and at what else runs there" },
    { "55P03", "another session holds a lock on these rows or on the table: 'SELECT pid, state, "
               "query, pg_blocking_pids(pid) FROM pg_stat_activity' names it" },
    { "57014", "the statement took too long: is the server overloaded, or does it wait for a lock "
               "(pg_stat_activity)?" },
    { "XX", "data or an index of the server is damaged: look at its log, and check its disk and "
            "its backups" },
};

const char *sqlstate_advice(const char *sqlstate)
{
    const char *advice = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
        size_t length = strlen(advices[i].prefix);
        if (length > longest && strncmp(sqlstate, advices[i].prefix, length) == 0) {
            longest = length;
            advice = advices[i].advice;
        }
    }
    return advice;
}

bool sqlstate_is_read_only(const char *message)
{
    return strstr(message, "session is read-only") != NULL ||
           strstr(message, "server is in hot standby mode") != NULL;
}

static bool is_sqlstate(const char *text)
{
    for (int i = 0; i < SQLSTATE_LEN; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z')))
            return false;
    return text[SQLSTATE_LEN] == ':';
}

bool sqlstate_find(const char *message, char ret_sqlstate[static SQLSTATE_LEN + 1])
{
    bool found = false;
    /* The severity in front is translated; the colon and the two blanks are not. */
    for (const char *at = message; (at = strstr(at, ":  ")) != NULL; at++) {
        if (!is_sqlstate(at + 3))
            continue;
        memcpy(ret_sqlstate, at + 3, SQLSTATE_LEN);
        ret_sqlstate[SQLSTATE_LEN] = '\0';
        found = true;
    }
    return found;
}
