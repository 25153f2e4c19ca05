/* Doors: listening sockets whose connections lanes accept, where descriptors and memory are short, too. */
#include "scene.h"

#include <poll.h>

#include "lanes/listening.h"

/* What accepts on `address` when it was told to use `asked`, once it is a door. */
static void expect_congestion_control(const struct sockaddr *address, socklen_t size, const char *asked,
                                      const char *expected) {
    struct pr_relay *relay = relay_start(options_with(1));
    int listener = (int)MUST(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    char name[16] = "";
    socklen_t length = sizeof name;
    uint64_t door;
    MUST(setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, asked, (socklen_t)strlen(asked)));
    MUST(bind(listener, address, size));
    MUST(listen(listener, 1));
    CHECK_EQUAL(open_plain_door(relay, listener, &door), 0);
    MUST(getsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, name, &length));
    CHECK(strcmp(name, expected) == 0);
    CHECK_EQUAL(pr_door_close(relay, door), 0);
    close(listener);
    pr_relay_destroy(relay);
}

static bool has_congestion_control(const char *name) {
    int fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    bool has = setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
    close(fd);
    return has;
}

static void only_what_stays_in_the_machine_is_not_paced(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct sockaddr_in6 here6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr *four = (const struct sockaddr *)&here, *six = (const struct sockaddr *)&here6;
    expect_congestion_control(four, sizeof here, "reno", "reno");
    if (has_congestion_control("cubic")) expect_congestion_control(four, sizeof here, "cubic", "cubic");
    if (!has_congestion_control("bbr")) {
        printf("  SKIPPED: only_what_stays_in_the_machine_is_not_paced, this kernel has no bbr\n");
        return;
    }
    expect_congestion_control(four, sizeof here, "bbr", "reno");
    expect_congestion_control((const struct sockaddr *)&any, sizeof any, "bbr", "bbr");
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has_six = probe >= 0 && bind(probe, six, sizeof here6) == 0;
    if (probe >= 0) close(probe);
    if (has_six) expect_congestion_control(six, sizeof here6, "bbr", "reno");
}

static void a_guest_that_is_answered_is_never_told_of(void) {
    struct scene scene = scene_open();
    uint64_t looks = counted(scene.relay).looks;
    for (unsigned each = 0; each < 100; each++) {
        int guest = visit(&scene);
        get(&scene, guest, each * 1000, 5000);
        close(guest);
    }
    wait_empty(&scene);
    CHECK_EQUAL(answers_so_far(&scene), 100);
    CHECK_EQUAL(counted(scene.relay).accepted_connections, 100);
    CHECK(counted(scene.relay).looks >= looks + 100); /* none was let go of unseen */
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

static atomic_uint discarded;

static ssize_t counted_discard(int fd, size_t length, int flags) {
    discarded++;
    return pr_sys_real.discard(fd, length, flags);
}

/* What a lane has not read when it closes would make the kernel reset the connection; of a client that has ended there
 * is nothing. */
static void only_of_a_client_that_has_not_ended_is_anything_discarded(void) {
    pr_sys.discard = counted_discard;
    struct scene scene = scene_open();
    for (unsigned ended = 0; ended < 2; ended++) {
        int guest = visit(&scene);
        discarded = 0;
        ask(guest, ended ? "Range: bytes=7-99\r\n" : "Connection: close\r\nRange: bytes=7-99\r\n");
        read_begin(&scene, guest, (struct begin){.status = 206, .offset = 7, .length = 93, .closes = !ended});
        read_body(guest, 7, 93, 0);
        if (ended) MUST(shutdown(guest, SHUT_WR));
        expect_end(guest);
        wait_empty(&scene);
        CHECK_EQUAL(discarded, ended ? 0 : 1);
        close(guest);
    }
    scene_close(&scene);
    pr_sys.discard = pr_sys_real.discard;
}

static atomic_uint asked_of_epoll;

static int accept_asked(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    int guest = pr_sys_real.accept(fd, address, length, flags);
    struct pollfd request = {.fd = guest, .events = POLLIN};
    bool by_lane = guest >= 0 && (flags & SOCK_NONBLOCK);
    if (by_lane) CHECK_EQUAL(poll(&request, 1, 5000), 1);
    return guest;
}

static int counted_control(int epoll, int operation, int fd, struct epoll_event *event) {
    asked_of_epoll++;
    return pr_sys_real.epoll_ctl(epoll, operation, fd, event);
}

static void one_that_asks_at_once_and_closes_is_answered_without_epoll(void) {
    pr_sys.accept = accept_asked;
    pr_sys.epoll_ctl = counted_control;
    struct scene scene = scene_open();
    asked_of_epoll = 0;
    for (unsigned each = 1; each <= 3; each++) {
        int guest = visit(&scene);
        ask(guest, "Connection: close\r\nRange: bytes=7-99\r\n");
        read_begin(&scene, guest, (struct begin){.status = 206, .offset = 7, .length = 93, .closes = true});
        read_body(guest, 7, 93, 0);
        expect_end(guest);
        close(guest);
        CHECK_EQUAL(asked_of_epoll, 0);
    }
    int guest = visit(&scene);
    get(&scene, guest, 0, 100);
    wait_until(asked_of_epoll == 1, 5000); /* it may ask again */
    get(&scene, guest, 5, 100);
    CHECK_EQUAL(asked_of_epoll, 1);
    close(guest);
    scene_close(&scene);
    pr_sys.accept = pr_sys_real.accept;
    pr_sys.epoll_ctl = pr_sys_real.epoll_ctl;
}

static atomic_int last_flags;

static ssize_t seen_send(int fd, const void *bytes, size_t length, int flags) {
    last_flags = flags;
    return pr_sys_real.send(fd, bytes, length, flags);
}

static void the_last_bytes_of_a_connection_leave_with_its_fin_and_no_others_wait(void) {
    pr_sys.send = seen_send;
    struct scene scene = scene_open();
    for (uint64_t length = 93; length < 65536; length *= 8) {
        publish(&scene, PR_ENGINE_COPY);
        int guest = visit(&scene);
        get(&scene, guest, 7, length);
        CHECK_EQUAL(last_flags & MSG_MORE, 0);
        char fields[128];
        snprintf(fields, sizeof fields, "Connection: close\r\nRange: bytes=7-%llu\r\n", (unsigned long long)length + 6);
        ask(guest, fields);
        read_begin(&scene, guest, (struct begin){.status = 206, .offset = 7, .length = length, .closes = true});
        read_body(guest, 7, length, 0);
        expect_end(guest);
        CHECK_EQUAL(last_flags & MSG_MORE, MSG_MORE);
        close(guest);
    }
    scene_close(&scene);
    pr_sys.send = pr_sys_real.send;
}

static void and_so_does_a_response_without_a_body(void) {
    static const char closing[] = "Connection: close\r\n", matching[] = "If-None-Match: \"a\"\r\n";
    pr_sys.send = seen_send;
    struct scene scene = scene_open();
    for (unsigned each = 0; each < 4; each++) {
        bool closes = each & 1, is_head = each & 2;
        char request[256];
        int guest = visit(&scene);
        say(guest, request,
            (size_t)sprintf(request, "%s %s HTTP/1.1\r\nHost: a\r\n%s%s\r\n", is_head ? "HEAD" : "GET", path_a,
                            is_head ? "" : matching, closes ? closing : ""));
        read_begin(&scene, guest,
                   (struct begin){.status = is_head ? 200 : 304, .length = scene.region.size, .closes = closes});
        if (closes) expect_end(guest);
        CHECK_EQUAL(last_flags & MSG_MORE, closes ? MSG_MORE : 0);
        close(guest);
    }
    scene_close(&scene);
    pr_sys.send = pr_sys_real.send;
}

static const char last_a[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=7-99\r\n\r\n";

static void and_do_the_last_behind_others_that_were_read(void) {
    pr_sys.send = seen_send;
    struct scene scene = scene_open();
    int guest = visit(&scene);
    for (unsigned each = 0; each < 3; each++) get(&scene, guest, each, 1000);
    SAY(guest, last_a);
    read_begin(&scene, guest, (struct begin){.status = 206, .offset = 7, .length = 93, .closes = true});
    read_body(guest, 7, 93, 0);
    expect_end(guest);
    CHECK_EQUAL(last_flags & MSG_MORE, MSG_MORE);
    close(guest);
    scene_close(&scene);
    pr_sys.send = pr_sys_real.send;
}

/* A FIN waits until what was sent before is read, and Node sees what has come behind the last request. */
static void nor_do_the_last_where_their_fin_has_to_wait(void) {
    pr_sys.send = seen_send;
    struct scene scene = scene_open();
    for (unsigned behind = 0; behind < 2; behind++) {
        char requests[512];
        int guest = visit_with(&scene, ROOMY);
        const struct begin last = {.status = 206, .offset = 7, .length = 93, .closes = true};
        uint64_t answers = answers_so_far(&scene);
        last_flags = MSG_MORE;
        say(guest, requests, (size_t)sprintf(requests, "%s%s", behind ? last_a : get_a, behind ? get_a : last_a));
        wait_until(answers_so_far(&scene) == answers + (behind ? 1 : 2), 5000);
        CHECK_EQUAL(last_flags & MSG_MORE, 0);
        if (!behind) read_whole(&scene, guest);
        read_begin(&scene, guest, last);
        read_body(guest, 7, 93, 0);
        if (behind) {
            struct side side = expect_arrival(&scene, PR_RETURN_LAST, get_a, sizeof get_a - 1);
            node_closes(&scene, &side);
        }
        close(guest);
    }
    scene_close(&scene);
    pr_sys.send = pr_sys_real.send;
}

static void a_door_that_is_closed_lets_nobody_in_and_nobody_out(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    get(&scene, guest, 0, 100);
    CHECK_EQUAL(pr_door_close(scene.relay, scene.door + 1), -EBADF);
    stop_listening(&scene);
    CHECK_EQUAL(pr_door_close(scene.relay, scene.door), -EBADF);
    int late = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_EQUAL(connect(late, &scene.address.any, scene.address_length), -1);
    CHECK_EQUAL(errno, ECONNREFUSED);
    close(late);
    get(&scene, guest, 5, 100); /* who is inside stays */
    close(guest);
    scene_close(&scene);
}

static void only_what_listens_for_streams_is_a_door(void) {
    struct scene scene = scene_open();
    uint64_t door;
    int guest = visit(&scene), datagrams = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    int packets = (int)MUST(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    struct sockaddr any = {.sa_family = AF_UNIX};
    MUST(bind(packets, &any, sizeof any.sa_family));
    MUST(listen(packets, 1));
    CHECK_EQUAL(open_plain_door(scene.relay, packets, &door), -EINVAL);
    close(packets);
    CHECK_EQUAL(open_plain_door(scene.relay, guest, &door), -EINVAL);
    CHECK(open_plain_door(scene.relay, datagrams, &door) < 0);
    CHECK_EQUAL(open_plain_door(scene.relay, scene.region.fd, &door), -ENOTSOCK);
    CHECK_EQUAL(open_plain_door(scene.relay, 99999, &door), -EBADF);
    close(datagrams);
    close(guest);
    scene_close(&scene);
}

static int listener_of(union pr_address *address, socklen_t *length) {
    int fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    *length = sizeof *address;
    address->four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    MUST(bind(fd, &address->any, sizeof address->four));
    MUST(listen(fd, 16));
    MUST(getsockname(fd, &address->any, length));
    return fd;
}

static void the_lanes_of_a_doors_node_accept_from_it_and_no_others(void) {
    struct scene scene = scene_with(options_with(3), patient(), SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    union pr_address address;
    socklen_t length;
    uint64_t door, none;
    int listener = listener_of(&address, &length), guests[20];
    struct pr_lane_info lanes[3];
    scene.relay->lanes->list[1].poller.node = 7;
    CHECK_EQUAL(open_plain_door(scene.relay, listener, &none), -EXDEV);
    const struct pr_door_options nowhere = {.node = 5}, seven = {.node = 7, .number = 3};
    CHECK_EQUAL(pr_door_open(scene.relay, listener, &nowhere, &none), -ENODEV);
    CHECK_EQUAL(pr_door_open(scene.relay, listener, &seven, &door), 0);
    for (int each = 0; each < 20; each++) {
        guests[each] = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        MUST(connect(guests[each], &address.any, length));
        get(&scene, guests[each], 0, 100);
    }
    pr_lanes(scene.relay, lanes, 3);
    for (unsigned each = 0; each < 3; each++) CHECK_EQUAL(lanes[each].connections, each == 1 ? 20 : 0);
    for (int each = 0; each < 20; each++) close(guests[each]);
    scene.relay->lanes->list[1].poller.node = scene.relay->lanes->list[0].poller.node;
    CHECK_EQUAL(pr_door_close(scene.relay, door), 0);
    close(listener);
    scene_close(&scene);
}

static void there_are_so_many_doors_and_no_more(void) {
    struct scene scene = scene_open(); /* with one */
    uint64_t doors[PR_MOST_DOORS], late;
    for (int each = 1; each < PR_MOST_DOORS; each++)
        CHECK_EQUAL(open_plain_door(scene.relay, scene.listener, &doors[each]), 0);
    CHECK_EQUAL(open_plain_door(scene.relay, scene.listener, &late), -ENOSPC);
    CHECK_EQUAL(pr_door_close(scene.relay, doors[1]), 0);
    CHECK_EQUAL(open_plain_door(scene.relay, scene.listener, &doors[1]), 0);
    int guest = visit(&scene);
    get(&scene, guest, 0, 100);
    close(guest);
    for (int each = 1; each < PR_MOST_DOORS; each++) CHECK_EQUAL(pr_door_close(scene.relay, doors[each]), 0);
    scene_close(&scene);
}

static void a_host_that_may_be_asked_at_one_kind_of_door_is_not_known_at_the_other(void) {
    struct scene scene = scene_open();
    union pr_address address;
    socklen_t length;
    uint64_t door;
    char client[PR_ADDRESS_TEXT];
    unsigned port, number;
    int listener = listener_of(&address, &length), guest = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const struct pr_door_options outer = {.node = -1, .number = 9, .any_host = true};
    CHECK_EQUAL(pr_door_open(scene.relay, listener, &outer, &door), 0);
    MUST(connect(guest, &address.any, length));
    SAY(guest, get_a);
    struct side side = expect_arrival(&scene, PR_RETURN_FED, get_a, sizeof get_a - 1);
    CHECK_EQUAL(pr_connection_client(scene.relay, side.id, client, &port, &number), 0);
    CHECK_EQUAL(number, 9);
    CHECK_EQUAL(pr_allow_host(scene.relay, true, text_of("a")), 0);
    node_answers(&scene, &side, guest);
    get(&scene, guest, 0, 100);
    CHECK_EQUAL(pr_door_close(scene.relay, door), 0);
    close(listener);
    finish(&scene, guest, &side);
}

static void a_device_is_listened_by_or_there_is_none(void) {
    union pr_address address = {.four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    char path[PR_UNIX_PATH] = "?", device[16] = "";
    socklen_t length = sizeof device;
    int fd = pr_listen_by("lo", &address);
    if (fd == -EPERM) test_skip("this kernel binds to a device for root alone");
    CHECK_EQUAL(pr_listening_family(fd), AF_INET);
    MUST(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &length));
    CHECK(strcmp(device, "lo") == 0);
    pr_listening_path(fd, path);
    CHECK(path[0] == '\0');
    length = sizeof address;
    MUST(getsockname(fd, &address.any, &length));
    CHECK_EQUAL(pr_listen_by("lo", &address), -EADDRINUSE);
    close(fd);
    CHECK_EQUAL(pr_listen_by("no-such-device", &address), -ENODEV);
}

static void the_path_of_a_unix_socket_is_told_up_to_its_longest(void) {
    char path[PR_UNIX_PATH], folder[] = "/tmp/doorsXXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(mkdtemp(folder) != NULL);
    memset(address.sun_path, 'a', sizeof address.sun_path); /* it need not end */
    memcpy(address.sun_path, folder, sizeof folder - 1);
    address.sun_path[sizeof folder - 1] = '/';
    int fd = (int)MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(bind(fd, (struct sockaddr *)&address, sizeof address));
    CHECK_EQUAL(pr_listening_family(fd), -EINVAL);
    MUST(listen(fd, 1));
    CHECK_EQUAL(pr_listening_family(fd), AF_UNIX);
    pr_listening_path(fd, path);
    CHECK_EQUAL(strlen(path), sizeof address.sun_path);
    CHECK(memcmp(path, address.sun_path, sizeof address.sun_path) == 0);
    close(fd);
    MUST(unlink(path));
    MUST(rmdir(folder));
}

static void guests_are_spread_over_lanes(void) {
    struct scene scene = scene_with(options_with(3), patient(), SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int guests[30];
    for (int each = 0; each < 30; each++) {
        guests[each] = visit(&scene);
        get(&scene, guests[each], 0, 100);
    }
    struct pr_lane_info lanes[3];
    pr_lanes(scene.relay, lanes, 3);
    for (int each = 0; each < 3; each++) CHECK(lanes[each].connections >= 10);
    for (int each = 0; each < 30; each++) close(guests[each]);
    scene_close(&scene);
}

/* Urgent data is no part of the stream, and moves no head. */
static void urgent_data_in_a_head_is_neither_answered_nor_fatal(void) {
    char request[256];
    struct scene scene = scene_open();
    size_t length = write_range(request, 10, 16);
    for (size_t cut = 0; cut <= length; cut += 1 + cut / 4) {
        int guest = visit(&scene);
        if (cut > 0) say(guest, request, cut);
        MUST(send(guest, "!", 1, MSG_OOB));
        if (cut < length) say(guest, request + cut, length - cut);
        read_range(&scene, guest, 10, 16);
        close(guest);
    }
    scene_close(&scene);
}

static void where_memory_is_short_they_wait_outside(void) {
    struct scene scene = scene_open();
    uint64_t used = test_processor_time(&scene.relay->lanes->list[0]);
    pr_fault_set(PR_CALL_ACCEPT, ENOMEM, 0, 5);
    int guest = visit(&scene);
    get(&scene, guest, 0, 100); /* after five looks at the door, one each 100 ms */
    CHECK(test_processor_time(&scene.relay->lanes->list[0]) - used < 100000000u);
    pr_fault_set(PR_CALL_ACCEPT, ECONNABORTED, 0, 3);
    int second = visit(&scene);
    get(&scene, second, 0, 100);
    pr_fault_set(PR_CALL_ACCEPT, 0, 0, 0);
    close(guest);
    close(second);
    scene_close(&scene);
}

static void a_connection_that_node_can_have_only_one_descriptor_of(void) {
    struct scene scene = scene_open();
    enum pr_peer_kind kind;
    bool forgotten;
    char got[256];
    int guest = visit(&scene);
    SAY(guest, get_b);
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(pr_unread(scene.relay, event.id, got, sizeof got), sizeof get_b - 1);
    pr_fault_set(PR_CALL_DUP, EMFILE, 0, 1);
    int ours = pr_connection_take(scene.relay, event.id, &kind, &forgotten);
    CHECK(ours >= 0 && forgotten);
    wait_until(counted(scene.relay).connections == 0, 5000);
    SAY(guest, get_a); /* it is Node's alone */
    CHECK_EQUAL(MUST(recv(ours, got, sizeof get_a - 1, MSG_WAITALL)), sizeof get_a - 1);
    close(ours);
    expect_end(guest); /* that was the only one */
    close(guest);

    /* But for what it was sent and has not read. */
    guest = visit_with(&scene, ROOMY);
    ask_range(guest, 0, SIZE / 2);
    SAY(guest, get_b);
    event = next_event(scene.relay);
    CHECK_EQUAL(pr_unread(scene.relay, event.id, got, sizeof got), sizeof get_b - 1);
    pr_fault_set(PR_CALL_DUP, EMFILE, 0, 1);
    CHECK_EQUAL(pr_connection_take(scene.relay, event.id, &kind, &forgotten), -EMFILE);
    CHECK_EQUAL(references(scene.relay), 1);
    read_range(&scene, guest, 0, SIZE / 2);
    wait_until(references(scene.relay) == 0, 5000);
    close(guest);
    scene_close(&scene);
}

int main(void) {
    RUN(only_what_stays_in_the_machine_is_not_paced);
    RUN(a_guest_that_is_answered_is_never_told_of);
    RUN(only_of_a_client_that_has_not_ended_is_anything_discarded);
    RUN(one_that_asks_at_once_and_closes_is_answered_without_epoll);
    RUN(the_last_bytes_of_a_connection_leave_with_its_fin_and_no_others_wait);
    RUN(and_so_does_a_response_without_a_body);
    RUN(and_do_the_last_behind_others_that_were_read);
    RUN(nor_do_the_last_where_their_fin_has_to_wait);
    RUN(a_door_that_is_closed_lets_nobody_in_and_nobody_out);
    RUN(only_what_listens_for_streams_is_a_door);
    RUN(the_lanes_of_a_doors_node_accept_from_it_and_no_others);
    RUN(there_are_so_many_doors_and_no_more);
    RUN(a_host_that_may_be_asked_at_one_kind_of_door_is_not_known_at_the_other);
    RUN(a_device_is_listened_by_or_there_is_none);
    RUN(the_path_of_a_unix_socket_is_told_up_to_its_longest);
    RUN(guests_are_spread_over_lanes);
    RUN(urgent_data_in_a_head_is_neither_answered_nor_fatal);
    pr_faults_enable();
    RUN(where_memory_is_short_they_wait_outside);
    RUN(a_connection_that_node_can_have_only_one_descriptor_of);
    return 0;
}
