#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option names[] = {
    {"port", required_argument, NULL, 'p'},
    {"unix", required_argument, NULL, 'u'},
    {"connections", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 't'},
    {"count", required_argument, NULL, 'c'},
    {"rate", required_argument, NULL, 'f'},
    {"requests", required_argument, NULL, 'r'},
    {"verify", required_argument, NULL, 'v'},
    {"per-connection", required_argument, NULL, 'o'},
    {"announce", no_argument, NULL, 'a'},
    {NULL, 0, NULL, 0},
};

_Noreturn static void refuse(const char *why) {
    fprintf(stderr, "discard: %s\n", why);
    exit(2);
}

static uint64_t whole(const char *text, uint64_t most) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > most) refuse(text);
    return value;
}

static double positive(const char *text) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0) || value > 1e9) refuse(text);
    return value;
}

static void read_one(struct options *options, int name) {
    switch (name) {
    case 'p': options->port = (uint16_t)whole(optarg, UINT16_MAX); return;
    case 'u': options->unix_path = optarg; return;
    case 'n': options->connections = (unsigned)whole(optarg, 65536); return;
    case 't': options->seconds = positive(optarg); return;
    case 'c': options->count = whole(optarg, UINT64_MAX); return;
    case 'f': options->rate = positive(optarg); return;
    case 'r': options->requests = optarg; return;
    case 'v': options->verify = optarg; return;
    case 'o': options->per_connection = whole(optarg, UINT64_MAX); return;
    case 'a': options->announce = true; return;
    default: refuse("unknown option");
    }
}

struct options options_read(int argc, char **argv) {
    struct options options = {.connections = 1};
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) read_one(&options, name);
    if (optind != argc) refuse("arguments that are no options");
    if ((options.port == 0) == !options.unix_path) refuse("--port or --unix is missing, or both are there");
    if (options.connections == 0) refuse("--connections must be above 0");
    if (!options.requests) refuse("--requests is missing");
    if (options.seconds == 0 && options.count == 0) refuse("--seconds or --count is missing");
    return options;
}
