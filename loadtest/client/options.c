#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option names[] = {
    {"port", required_argument, NULL, 'p'},
    {"path", required_argument, NULL, 'u'},
    {"connections", required_argument, NULL, 'n'},
    {"size", required_argument, NULL, 's'},
    {"region", required_argument, NULL, 'r'},
    {"align", required_argument, NULL, 'a'},
    {"seconds", required_argument, NULL, 't'},
    {"count", required_argument, NULL, 'c'},
    {"rate", required_argument, NULL, 'f'},
    {"seed", required_argument, NULL, 'x'},
    {"fresh", no_argument, NULL, 'o'},
    {"verify", required_argument, NULL, 'v'},
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
    case 'u': options->path = optarg; return;
    case 'n': options->connections = (unsigned)whole(optarg, 65536); return;
    case 's': options->size = whole(optarg, UINT64_MAX); return;
    case 'r': options->region = whole(optarg, UINT64_MAX); return;
    case 'a': options->align = whole(optarg, UINT64_MAX); return;
    case 't': options->seconds = positive(optarg); return;
    case 'c': options->count = whole(optarg, UINT64_MAX); return;
    case 'f': options->rate = positive(optarg); return;
    case 'x': options->seed = whole(optarg, UINT64_MAX); return;
    case 'o': options->fresh = true; return;
    case 'v': options->verify = optarg; return;
    default: refuse("unknown option");
    }
}

struct options options_read(int argc, char **argv) {
    struct options options = {.path = "/", .connections = 1, .align = 4096, .seed = 1};
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) read_one(&options, name);
    if (optind != argc) refuse("arguments that are no options");
    if (options.port == 0) refuse("--port is missing");
    if (options.connections == 0 || options.align == 0) refuse("--connections and --align must be above 0");
    if (options.size == 0 || options.size > options.region) refuse("--size must be above 0 and at most --region");
    if (options.seconds == 0 && options.count == 0) refuse("--seconds or --count is missing");
    return options;
}
