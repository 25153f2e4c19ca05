/* What proxies say of their clients: the PROXY protocol, version 2, and X-Forwarded-For; whole, in pieces, and wrong.
 */
#include "scene.h"

#include "http/proxy.h"
#include "wire/proxied.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* 192.0.2.1:4660 to 192.0.2.2:80. */
#define FOUR SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x12\x34\0\x50"
/* The same in 36 bytes, of [2001:db8::1]:4660. */
#define SIX                                                                                                            \
    SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"     \
              "\x12\x34\0\x50"
/* That of four with a TLV of one byte, and a checksum. */
#define SUMMED    SIGNATURE "\x21\x11\0\x17\xc0\0\x02\x01\xc0\0\x02\x02\x12\x34\0\x50\xe0\0\x01x\x03\0\x04\x3c\xca\xd9\xf8"
#define LOCAL_ONE SIGNATURE "\x20\0\0\0"

struct header {
    const char *bytes;
    size_t length;
};
#define HEADER(text)                                                                                                   \
    { .bytes = (text), .length = sizeof(text) - 1 }

static const char *client_of(const struct pr_proxy *proxy) {
    static char text[INET6_ADDRSTRLEN];
    if (proxy->client.any.sa_family == AF_UNSPEC) return "";
    bool is_six = proxy->client.any.sa_family == AF_INET6;
    const void *bytes = is_six ? (const void *)&proxy->client.six.sin6_addr : &proxy->client.four.sin_addr;
    CHECK_EQUAL(ntohs(is_six ? proxy->client.six.sin6_port : proxy->client.four.sin_port), 4660);
    return inet_ntop(proxy->client.any.sa_family, bytes, text, sizeof text);
}

/* Every beginning of it is a part, and what follows is not read. */
static void expect_header(struct header header, const char *client) {
    struct pr_proxy proxy;
    for (size_t length = 0; length < header.length; length++) {
        char *exact = malloc(length + 1);
        memcpy(exact + 1, header.bytes, length);
        CHECK_EQUAL(pr_proxy_read(exact + 1, length, &proxy), PR_HEAD_PART);
        free(exact);
    }
    CHECK_EQUAL(pr_proxy_read(header.bytes, header.length, &proxy), PR_HEAD_WHOLE);
    CHECK_EQUAL(proxy.length, header.length);
    if (strcmp(client_of(&proxy), client) != 0) FAIL("the client is %s, not %s", client_of(&proxy), client);
}

static void every_kind_of_header_is_read(void) {
    char unix_socket[16 + 216] = SIGNATURE "\x21\x31\0\xd8/client";
    expect_header((struct header)HEADER(FOUR), "192.0.2.1");
    expect_header((struct header)HEADER(SIX), "2001:db8::1");
    expect_header((struct header)HEADER(SUMMED), "192.0.2.1");
    expect_header((struct header)HEADER(LOCAL_ONE), "");
    expect_header((struct header)HEADER(SIGNATURE "\x20\x11\0\x03xyz"), ""); /* what LOCAL has is ignored */
    expect_header((struct header)HEADER(SIGNATURE "\x21\0\0\x05xyzxy"), ""); /* of UNSPEC too */
    expect_header((struct header){.bytes = unix_socket, .length = sizeof unix_socket}, "");
    expect_header((struct header)HEADER(SIGNATURE "\x21\x11\0\x12\xc0\0\x02\x01\xc0\0\x02\x02\x12\x34\0\x50"
                                                  "\x04\0\0\xe0\0\0"),
                  "192.0.2.1"); /* a NOOP, and one of its own */
}

static void what_is_no_header_is_foreign_as_soon_as_that_is_seen(void) {
    static const struct header wrong[] = {
        HEADER("GET / HTTP/1.1\r\n"),
        HEADER("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
        HEADER("\r\n\r\nGET"),
        HEADER(SIGNATURE "\x11"),           /* another version */
        HEADER(SIGNATURE "\x22"),           /* another command */
        HEADER(SIGNATURE "\x21\x12\0\x0c"), /* datagrams */
        HEADER(SIGNATURE "\x21\x41\0\x0c"), /* another family */
        HEADER(SIGNATURE "\x21\x11\0\x0b"), /* shorter than its addresses */
        HEADER(SIGNATURE "\x21\x21\0\x23"),
        HEADER(SIGNATURE "\x21\x31\0\xd7"),
        HEADER(SIGNATURE "\x21\0\x3f\xf1"),                                                     /* longer than 16 KiB */
        HEADER(SIGNATURE "\x21\x11\0\x0e\xc0\0\x02\x01\xc0\0\x02\x02\x12\x34\0\x50\x04\0"),     /* a TLV that is cut */
        HEADER(SIGNATURE "\x21\x11\0\x0f\xc0\0\x02\x01\xc0\0\x02\x02\x12\x34\0\x50\x04\0\x01"), /* and its value */
        HEADER(SIGNATURE "\x21\x11\0\x12\xc0\0\x02\x01\xc0\0\x02\x02\x12\x34\0\x50\x03\0\x03xyz"),
        HEADER(SIGNATURE "\x21\x11\0\x13\xc0\0\x02\x01\xc0\0\x02\x02\x12\x34\0\x50\x03\0\x04\0\0\0\0"), /* wrong sum */
    };
    for (size_t each = 0; each < sizeof wrong / sizeof *wrong; each++) {
        struct pr_proxy proxy;
        if (pr_proxy_read(wrong[each].bytes, wrong[each].length, &proxy) != PR_HEAD_FOREIGN)
            FAIL("%zu is no header", each);
    }
}

static void a_changed_byte_is_found_by_the_checksum(void) {
    for (size_t at = 16; at < sizeof SUMMED - 1; at++) {
        char bytes[] = SUMMED;
        struct pr_proxy proxy;
        bytes[at] ^= 1;
        /* One that is in the head of a TLV can make it no checksum, or too long. */
        enum pr_head_kind kind = pr_proxy_read(bytes, sizeof bytes - 1, &proxy);
        if (at != 32) CHECK(kind == PR_HEAD_FOREIGN || (at >= 28 && at < 33));
    }
}

static void the_last_address_that_is_not_trusted_asks(void) {
    static const struct {
        const char *value, *client;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"203.0.113.9, 192.0.2.1", "192.0.2.1"},
        {"203.0.113.9, 192.0.2.1, 10.1.2.3,10.9.9.9", "192.0.2.1"},
        {"10.1.1.1, 10.2.2.2", "10.1.1.1"},
        {"unknown, 10.2.2.2", "10.2.2.2"},
        {"192.0.2.1, unknown", ""},
        {"192.0.2.1,", ""},
        {"", ""},
        {" \t192.0.2.1:4660 ", "192.0.2.1"},
        {"192.0.2.1:", ""},
        {"192.0.2.1:x", ""},
        {"192.0.2.1:123456", ""},
        {"192.0.2.256", ""},
        {"192.0.2", ""},
        {"192.0.2.01", ""},
        {"2001:DB8::0:1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:80", "2001:db8::1"},
        {"[2001:db8::1", ""},
        {"[2001:db8::1]80", ""},
        {"[192.0.2.1]", ""},
        {"fe80::1%eth0", ""},
        {"192.0.2.7, ::ffff:10.1.2.3", "192.0.2.7"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"192.0.2.7, fd00:0:0:1::5", "192.0.2.7"},
        {"192.0.2.7, fd00:0:0:2::5", "fd00:0:0:2::5"},
    };
    struct pr_relay *relay = relay_start(options_with(1));
    CHECK_EQUAL(pr_trust(relay, "10.0.0.0/8", 10), 0);
    CHECK_EQUAL(pr_trust(relay, "fd00:0:0:1::/63", 15), 0); /* of which the last bit does not count */
    for (size_t each = 0; each < sizeof rows / sizeof *rows; each++) {
        char text[INET6_ADDRSTRLEN] = "", *exact = strdup(rows[each].value);
        struct pr_text value = {.at = exact, .length = strlen(exact)};
        union pr_address client = pr_forwarded_client(relay, value);
        if (client.any.sa_family != AF_UNSPEC)
            inet_ntop(client.any.sa_family,
                      client.any.sa_family == AF_INET ? (void *)&client.four.sin_addr : &client.six.sin6_addr, text,
                      sizeof text);
        if (strcmp(text, rows[each].client) != 0)
            FAIL("\"%s\" is of %s, not %s", rows[each].value, text, rows[each].client);
        free(exact);
    }
    pr_relay_destroy(relay);
}

static void what_is_no_network_can_not_be_trusted(void) {
    static const char *const wrong[] = {"",       "10.0.0.0", "10.0.0.0/33", "10.0.0.0/",  "10.0.0/8",
                                        "::/129", "unix",     "::/0008",     "10.0.0.0/-1"};
    static const struct {
        const char *network;
        const char *in, *out;
    } rows[] = {{"10.0.0.0/9", "10.127.255.255", "10.128.0.0"},
                {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
                {"192.0.2.7/32", "192.0.2.7", "192.0.2.6"},
                {"::1/128", "::1", "::2"},
                {"0.0.0.0/0", "9.9.9.9", "::1"}};
    for (size_t each = 0; each < sizeof rows / sizeof *rows; each++) {
        struct pr_relay *relay = relay_start(options_with(1));
        CHECK_EQUAL(pr_trust(relay, rows[each].network, strlen(rows[each].network)), 0);
        for (int out = 0; out < 2; out++) {
            union pr_address address = {0};
            const char *text = out ? rows[each].out : rows[each].in;
            bool is_six = strchr(text, ':') != NULL;
            address.any.sa_family = is_six ? AF_INET6 : AF_INET;
            CHECK_EQUAL(inet_pton(address.any.sa_family, text,
                                  is_six ? (void *)&address.six.sin6_addr : &address.four.sin_addr),
                        1);
            CHECK_EQUAL(pr_is_trusted(relay, &address), !out);
        }
        union pr_address none = {.any.sa_family = AF_UNIX};
        CHECK(!pr_is_trusted(relay, &none));
        for (size_t bad = 0; bad < sizeof wrong / sizeof *wrong; bad++)
            CHECK_EQUAL(pr_trust(relay, wrong[bad], strlen(wrong[bad])), -EINVAL);
        CHECK_EQUAL(pr_trust(relay, "unix:", 5), 0);
        CHECK(pr_is_trusted(relay, &none));
        pr_relay_destroy(relay);
    }
}

/* A lane that reads them. */

struct lodge {
    struct scene scene;
    int listener;
    uint64_t door;
    union pr_address address;
    socklen_t length;
};

static struct lodge lodge_open(const char *trusted, unsigned head_seconds) {
    struct lodge lodge = {.length = sizeof lodge.address};
    lodge.scene = scene_with(options_with(1), (struct pr_responding){.keep_alive = 72, .head = head_seconds}, SIZE, 0);
    publish(&lodge.scene, PR_ENGINE_SENDFILE);
    lodge.listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    lodge.address.four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    MUST(bind(lodge.listener, &lodge.address.any, sizeof lodge.address.four));
    MUST(listen(lodge.listener, 16));
    MUST(getsockname(lodge.listener, &lodge.address.any, &lodge.length));
    const struct pr_door_options options = {.node = -1, .takes_proxy = true};
    CHECK_EQUAL(pr_trust(lodge.scene.relay, trusted, strlen(trusted)), 0);
    CHECK_EQUAL(pr_door_open(lodge.scene.relay, lodge.listener, &options, &lodge.door), 0);
    return lodge;
}

static int enter(const struct lodge *lodge) {
    int fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(connect(fd, &lodge->address.any, lodge->length));
    return fd;
}

static void lodge_close(struct lodge *lodge) {
    CHECK_EQUAL(pr_door_close(lodge->scene.relay, lodge->door), 0);
    close(lodge->listener);
    scene_close(&lodge->scene);
}

/* Whatever its client wants to say: by FIN or by a reset, for what was not read. */
static void expect_closed(int guest) {
    char byte;
    ssize_t got = recv(guest, &byte, 1, 0);
    if (got > 0 || (got < 0 && errno != ECONNRESET)) FAIL("it is answered: %zd", got);
    close(guest);
}

static void expect_client(const struct lodge *lodge, int guest, const char *client, unsigned port) {
    char text[PR_ADDRESS_TEXT];
    unsigned told, door;
    SAY(guest, get_b);
    struct side side = expect_arrival(&lodge->scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    CHECK_EQUAL(pr_connection_client(lodge->scene.relay, side.id, text, &told, &door), 0);
    if (strcmp(text, client) != 0) FAIL("the client is %s, not %s", text, client);
    CHECK_EQUAL(told, port);
    node_answers(&lodge->scene, &side, guest);
    get(&lodge->scene, guest, 5, 100); /* its lane goes on */
    close(guest);
    expect_return(&lodge->scene, &side, PR_RETURN_CLOSED, NULL, 0);
    node_closes(&lodge->scene, &side);
}

static void whom_a_trusted_proxy_names_is_the_client_however_the_header_comes(void) {
    struct lodge lodge = lodge_open("127.0.0.0/8", 60);
    for (size_t piece = 1; piece < sizeof FOUR; piece += piece < 4 ? 1 : 7) {
        int guest = enter(&lodge);
        for (size_t at = 0; at < sizeof FOUR - 1; at += piece) {
            size_t rest = sizeof FOUR - 1 - at;
            say(guest, FOUR + at, rest < piece ? rest : piece);
            usleep(300);
        }
        get(&lodge.scene, guest, 0, 100);
        expect_client(&lodge, guest, "192.0.2.1", 4660);
    }
    int together = enter(&lodge); /* the header and requests at once */
    char both[512];
    memcpy(both, SIX, sizeof SIX - 1);
    size_t length = sizeof SIX - 1;
    for (int twice = 0; twice < 2; twice++) length += write_range(both + length, 7, 50);
    say(together, both, length);
    for (int twice = 0; twice < 2; twice++) read_range(&lodge.scene, together, 7, 50);
    expect_client(&lodge, together, "2001:db8::1", 4660);
    lodge_close(&lodge);
}

static void without_a_client_it_is_the_proxy_itself(void) {
    struct lodge lodge = lodge_open("127.0.0.1/32", 60);
    int guest = enter(&lodge);
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    MUST(getsockname(guest, (struct sockaddr *)&own, &length));
    SAY(guest, LOCAL_ONE);
    expect_client(&lodge, guest, "127.0.0.1", ntohs(own.sin_port));
    lodge_close(&lodge);
}

static void who_is_not_trusted_is_no_proxy(void) {
    struct lodge lodge = lodge_open("192.0.2.0/24", 60);
    int plain = enter(&lodge), proxy = enter(&lodge);
    get(&lodge.scene, plain, 0, 100);
    close(plain);
    SAY(proxy, FOUR); /* Node refuses it, as any bytes that are no request */
    struct side side = expect_arrival(&lodge.scene, PR_RETURN_HANDED, FOUR, sizeof FOUR - 1);
    node_closes(&lodge.scene, &side);
    close(proxy);
    lodge_close(&lodge);
}

static void who_sends_something_else_is_closed_and_node_hears_nothing(void) {
    struct lodge lodge = lodge_open("127.0.0.0/8", 60);
    for (int kind = 0; kind < 4; kind++) {
        int guest = enter(&lodge);
        if (kind == 0) SAY(guest, "GET /regions/a HTTP/1.1\r\nHost: a\r\n\r\n");
        if (kind == 1)
            SAY(guest, SIGNATURE "\x21\x11\0\x0b"
                                 "aaaaaaaaaaa");
        if (kind == 2) SAY(guest, "\r\n\r\n");
        if (kind >= 2) MUST(shutdown(guest, SHUT_WR));
        expect_closed(guest);
    }
    lodge_close(&lodge);
}

static void who_takes_longer_than_a_head_may_is_closed(void) {
    struct lodge lodge = lodge_open("127.0.0.0/8", 1);
    int silent = enter(&lodge), slow = enter(&lodge);
    say(slow, FOUR, 20);
    expect_closed(silent);
    expect_closed(slow);
    lodge_close(&lodge);
}

static void what_has_not_said_for_whom_it_asks_is_closed_when_lanes_stop(void) {
    struct lodge lodge = lodge_open("127.0.0.0/8", 60);
    int guest = enter(&lodge), late;
    say(guest, FOUR, 20);
    wait_until(counted(lodge.scene.relay).reading == 1, 5000);
    pr_hand_over_all(lodge.scene.relay);
    expect_closed(guest);
    late = enter(&lodge);
    struct side side =
        expect_arrival(&lodge.scene, PR_RETURN_HANDED, "", 0); /* which Node closes, for it has asked nothing */
    node_closes(&lodge.scene, &side);
    close(late);
    lodge_close(&lodge);
}

static void where_memory_is_short_it_is_closed(void) {
    struct lodge lodge = lodge_open("127.0.0.0/8", 60);
    int guest = enter(&lodge);
    wait_until(counted(lodge.scene.relay).reading == 1, 5000);
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    SAY(guest, FOUR);
    expect_closed(guest);
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    lodge_close(&lodge);
}

int main(void) {
    RUN(every_kind_of_header_is_read);
    RUN(what_is_no_header_is_foreign_as_soon_as_that_is_seen);
    RUN(a_changed_byte_is_found_by_the_checksum);
    RUN(the_last_address_that_is_not_trusted_asks);
    RUN(what_is_no_network_can_not_be_trusted);
    RUN(whom_a_trusted_proxy_names_is_the_client_however_the_header_comes);
    RUN(without_a_client_it_is_the_proxy_itself);
    RUN(who_is_not_trusted_is_no_proxy);
    RUN(who_sends_something_else_is_closed_and_node_hears_nothing);
    RUN(who_takes_longer_than_a_head_may_is_closed);
    RUN(what_has_not_said_for_whom_it_asks_is_closed_when_lanes_stop);
    pr_faults_enable();
    RUN(where_memory_is_short_it_is_closed);
    return 0;
}
