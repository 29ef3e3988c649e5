/*
 * dlq: the records that could not be applied, in the operator's hands.
 */
#include "worker/commands/dlq.h"

#include "worker/commands/command.h"
#include "worker/commands/dlq_work.h"
#include "worker/commands/facts.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

const char dlq_help[] =
    "Dead letters are records that can never be applied, kept byte for byte in dead_letters with a\n"
    "reason. An open one waits for somebody to mend its cause and send it again, or to discard it.\n"
    "\n"
    "  list                     open letters, the newest first\n"
    "  show ID                  one letter with its exact bytes (\\xNN for what is not printable)\n"
    "  replay ID... | --all | --reason CODE\n"
    "                           sends the exact key, value and headers again, as a new record in\n"
    "                           the letter's own topic and partition. The new record gets an\n"
    "                           outcome of its own (also dead, if its cause is still there); the\n"
    "                           old counters stay. A letter that was sent before is passed over,\n"
    "                           whoever sent it. After a crash between Kafka's confirmation and\n"
    "                           the note in the database a letter may be sent once more, which the\n"
    "                           worker counts as a duplicate.\n"
    "  discard ID... --reason TEXT\n"
    "                           nobody has to look at it any more; kept in audit_log. The bytes\n"
    "                           stay.\n"
    "  accept TOPIC PARTITION OFFSET --reason TEXT\n"
    "                           for a partition that halts with reason=data_errors: somebody has\n"
    "                           looked, and the records are bad, not the constraint. What\n"
    "                           PostgreSQL refuses up to and including OFFSET (the halt line\n"
    "                           names it) becomes a dead letter instead of halting the partition;\n"
    "                           what it takes is applied as ever. A running worker goes on within\n"
    "                           a minute, to the end or to the next refused record. Kept in\n"
    "                           audit_log. Mending the constraint is better wherever it can be\n"
    "                           done: then the records are applied.\n"
    "\n"
    "Letters of attempts that were erased have no bytes any more: they cannot be sent again.\n"
    "\n"
    "Options:\n"
    "  --topic TOPIC     list: only of this topic (its full name)\n"
    "  --partition N     list: only of this partition\n"
    "  --reason CODE     list, replay: only with this reason code (json, constraint, ...);\n"
    "                    discard, accept: why\n"
    "  --open            list: only open letters (the default)\n"
    "  --all             list: also replayed, discarded and erased ones; replay: every open one\n"
    "  --limit N         list: at most so many (50)\n"
    "  --raw KEY|VALUE   show: exactly these bytes to standard output, which is no terminal\n"
    "  --again           replay ID...: also if it was replayed or discarded before\n"
    "  --yes             replay: do not ask\n"
    "  --json            the result as JSON\n"
    "\n"
    "Exit codes: 0 done (also: nothing was left to do), 1 not confirmed, 65 a letter is not there,\n"
    "or has no bytes, or the partition is past the offset; 69 Kafka or PostgreSQL does not answer,\n"
    "or Kafka did not confirm everything: give the command again.\n"
    "\n"
    "Examples:\n"
    "  attemptd dlq list --reason constraint\n"
    "  attemptd dlq show 4711 --raw VALUE >value.json\n"
    "  attemptd dlq replay --reason constraint --yes\n"
    "  attemptd dlq discard 4711 4712 --reason 'test data of the rehearsal'\n"
    "  attemptd dlq accept attempt.writes 3 120044 --reason 'broken client, ticket 4711'\n";

bool dlq_connect(struct dlq *dlq, bool replica_ok, struct err *err)
{
    dlq->db = facts_connect(dlq->settings, replica_ok, err);
    return dlq->db != NULL;
}

/* ------------------------------------------------------------------------------ the words */

/* "{7,12}", an array of PostgreSQL's; false when a word is no id. */
static bool join_ids(struct dlq *dlq, const char **ret_bad)
{
    size_t size = 3;
    for (int i = 0; i < dlq->word_count; i++) {
        *ret_bad = dlq->words[i];
        if (!command_is_number(dlq->words[i]))
            return false;
        size += strlen(dlq->words[i]) + 1;
    }
    if (dlq->word_count == 0)
        return true;
    dlq->ids = malloc(size);
    if (dlq->ids == NULL)
        return false;
    char *at = dlq->ids;
    for (int i = 0; i < dlq->word_count; i++)
        at +=
            snprintf(at, size - (size_t)(at - dlq->ids), "%c%s", i == 0 ? '{' : ',', dlq->words[i]);
    (void)snprintf(at, size - (size_t)(at - dlq->ids), "}");
    return true;
}

static int read_options(struct dlq *dlq, int argc, char **argv)
{
    static const struct option options[] = {
        { "topic", required_argument, NULL, 't' },
        { "partition", required_argument, NULL, 'p' },
        { "reason", required_argument, NULL, 'r' },
        { "limit", required_argument, NULL, 'l' },
        { "raw", required_argument, NULL, 'w' },
        { "all", no_argument, NULL, 'a' },
        { "open", no_argument, NULL, 'o' },
        { "again", no_argument, NULL, 'g' },
        { "yes", no_argument, NULL, 'y' },
        { "json", no_argument, NULL, 'j' },
        { 0 },
    };
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?')
            return command_usage("dlq", "unknown option or missing value: %s", argv[optind - 1]);
        if ((option == 'p' || option == 'l') && !command_is_number(optarg))
            return command_usage("dlq", "--%s %s: a number is needed",
                                 option == 'p' ? "partition" : "limit", optarg);
        const char **texts[] = { ['t'] = &dlq->topic,
                                 ['p'] = &dlq->partition,
                                 ['r'] = &dlq->reason,
                                 ['l'] = &dlq->limit,
                                 ['w'] = &dlq->raw };
        if (optarg != NULL)
            *texts[option] = optarg;
        dlq->all |= option == 'a';
        dlq->open |= option == 'o';
        dlq->again |= option == 'g';
        dlq->yes |= option == 'y';
        dlq->json |= option == 'j';
    }
    dlq->words = argv + optind;
    dlq->word_count = argc - optind;
    return EX_OK;
}

enum words { WORDS_NONE, WORDS_IDS, WORDS_OWN };

static const struct part {
    const char *name;
    int (*run)(struct dlq *dlq);
    enum words words;
} parts[] = { { "list", dlq_list, WORDS_NONE },
              { "show", dlq_show, WORDS_IDS },
              { "replay", dlq_replay, WORDS_IDS },
              { "discard", dlq_discard, WORDS_IDS },
              { "accept", dlq_accept, WORDS_OWN } };

static const struct part *find_part(const char *word)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, word) == 0)
            return &parts[i];
    return NULL;
}

int dlq_command(const struct settings *settings, int argc, char **argv)
{
    struct dlq dlq = { .settings = settings };
    const char *bad = NULL;
    int code = read_options(&dlq, argc, argv);
    if (code != EX_OK)
        return code;
    const struct part *part = dlq.word_count == 0 ? NULL : find_part(dlq.words[0]);
    if (part == NULL)
        return command_usage("dlq", "it is list, show, replay, discard or accept");
    dlq.words++;
    dlq.word_count--;
    if (part->words == WORDS_NONE && dlq.word_count > 0)
        return command_usage("dlq", "'%s' is one word too many", dlq.words[0]);
    if (part->words == WORDS_IDS && !join_ids(&dlq, &bad))
        return command_usage("dlq", "'%s' is no id of a letter; 'attemptd dlq list' has them", bad);
    code = part->run(&dlq);
    pg_client_free(dlq.db);
    free(dlq.ids);
    return code;
}
