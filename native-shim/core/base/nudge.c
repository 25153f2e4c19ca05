#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/nudge.h"
#include "base/sys.h"

/* Its own thread, so that nobody else's affinity is touched. */
static void *visit_cpus(void *argument) {
    int fd = ((int *)argument)[0], reached = 0;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) return NULL;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (!CPU_ISSET(cpu, &allowed) || sched_setaffinity(0, sizeof one, &one) < 0) continue;
        char byte = 0;
        if (pr_sys.send(fd, &byte, 1, MSG_DONTWAIT) == 1 && pr_sys.recv(fd, &byte, 1, MSG_DONTWAIT) == 1) reached++;
    }
    ((int *)argument)[1] = reached;
    return NULL;
}

int pr_nudge(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = pr_sys.socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) return -errno;
    int result = 0, argument[2] = {fd, 0};
    pthread_t thread;
    if (pr_sys.bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        pr_sys.getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
        pr_sys.connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        result = -errno;
    if (result == 0) result = -pthread_create(&thread, NULL, visit_cpus, argument);
    if (result == 0) pthread_join(thread, NULL);
    close(fd);
    return result < 0 ? result : argument[1];
}

enum { NUDGE_EVERY = 20 /* ms */, MILLISECOND = 1000000, SECOND = 1000 * MILLISECOND };

static struct timespec next_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += NUDGE_EVERY * MILLISECOND;
    time.tv_sec += time.tv_nsec / SECOND;
    time.tv_nsec %= SECOND;
    return time;
}

static void *nudge_until_told(void *argument) {
    struct pr_nudging *nudging = argument;
    pthread_mutex_lock(&nudging->lock);
    while (!nudging->over) {
        pthread_mutex_unlock(&nudging->lock);
        pr_nudge();
        struct timespec next = next_time();
        pthread_mutex_lock(&nudging->lock);
        while (!nudging->over && pthread_cond_timedwait(&nudging->told, &nudging->lock, &next) == 0) continue;
    }
    pthread_mutex_unlock(&nudging->lock);
    return NULL;
}

void pr_nudging_begin(struct pr_nudging *nudging) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&nudging->told, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&nudging->lock, NULL);
    nudging->over = false;
    nudging->running = pthread_create(&nudging->thread, NULL, nudge_until_told, nudging) == 0;
}

void pr_nudging_end(struct pr_nudging *nudging) {
    pthread_mutex_lock(&nudging->lock);
    nudging->over = true;
    pthread_cond_signal(&nudging->told);
    pthread_mutex_unlock(&nudging->lock);
    if (nudging->running) pthread_join(nudging->thread, NULL);
    pthread_cond_destroy(&nudging->told);
    pthread_mutex_destroy(&nudging->lock);
}
