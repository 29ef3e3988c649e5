/*
 * Text files compiled into the program (see embed.awk): migrations and SQL statements.
 */
#ifndef COMMON_EMBEDDED_H
#define COMMON_EMBEDDED_H

struct embedded_file {
    const char *name; /* the file's name without its folder; NULL ends the table */
    const char *text;
};

extern const struct embedded_file migrations_embedded[];
extern const struct embedded_file statements_embedded[];

#endif
