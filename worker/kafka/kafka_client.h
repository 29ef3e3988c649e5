/*
 * What commands need of Kafka, blocking and simple: a look at the cluster and its topics
 * (kafka_admin.h), sending (kafka_producer.h), reading a piece of a log (kafka_reader.h).
 *
 * None of these is for the event loop of `run`.
 */
#ifndef WORKER_KAFKA_KAFKA_CLIENT_H
#define WORKER_KAFKA_KAFKA_CLIENT_H

#include "worker/kafka/kafka_admin.h"
#include "worker/kafka/kafka_conf.h"
#include "worker/kafka/kafka_producer.h"
#include "worker/kafka/kafka_reader.h"

#endif
