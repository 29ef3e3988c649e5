/*
 * A thread that takes no signals: those are for the loop, which the main thread runs.
 */
#ifndef COMMON_THREAD_H
#define COMMON_THREAD_H

#include <pthread.h>

/* 0, or the errno of pthread_create(). */
int thread_start(pthread_t *ret, void *(*body)(void *self), void *self);

#endif
