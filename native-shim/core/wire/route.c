#include "wire/route.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "wire/netlink.h"
#include "wire/peer.h"

struct route_request {
    struct nlmsghdr header;
    union {
        struct rtmsg route;
        struct ifinfomsg link;
    } body;
    char attributes[64];
};

static void add_attribute(struct route_request *request, unsigned short type, const void *data, size_t length) {
    struct rtattr *attribute = (struct rtattr *)(void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(length);
    memcpy(RTA_DATA(attribute), data, length);
    request->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

/* The device that packets to the peer leave by, 0 for an address of this host, or -errno. */
static int device_towards(struct pr_prober *prober, const struct pr_peer *peer) {
    struct route_request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                   .nlmsg_type = RTM_GETROUTE,
                   .nlmsg_flags = NLM_F_REQUEST},
        .body.route = {.rtm_family = (unsigned char)peer->there.any.sa_family},
    };
    unsigned char bytes[16];
    size_t length = pr_address_bytes(&peer->there, bytes, NULL);
    request.body.route.rtm_dst_len = (unsigned char)(length * 8);
    add_attribute(&request, RTA_DST, bytes, length);
    length = pr_address_bytes(&peer->here, bytes, NULL);
    request.body.route.rtm_src_len = (unsigned char)(length * 8);
    add_attribute(&request, RTA_SRC, bytes, length);

    struct pr_netlink_answer answer;
    ssize_t got = pr_netlink_ask(prober, prober->route, &request.header, &answer);
    if (got < 0) return (int)got;
    const struct rtmsg *route = (const struct rtmsg *)(const void *)answer.payload;
    if (route->rtm_type != RTN_UNICAST) return 0;
    const struct rtattr *device = pr_netlink_find(RTM_RTA(route), (size_t)RTM_PAYLOAD(&answer.header), RTA_OIF);
    return device ? *(const int *)RTA_DATA(device) : -ENODEV;
}

/* A device made of software (veth, bridge, tun, bond, …) has a kind; a network card has none. */
static int device_is_physical(struct pr_prober *prober, int index) {
    struct route_request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                   .nlmsg_type = RTM_GETLINK,
                   .nlmsg_flags = NLM_F_REQUEST},
        .body.link = {.ifi_family = AF_UNSPEC, .ifi_index = index},
    };
    struct pr_netlink_answer answer;
    ssize_t got = pr_netlink_ask(prober, prober->route, &request.header, &answer);
    if (got < 0) return (int)got;
    const struct ifinfomsg *link = (const struct ifinfomsg *)(const void *)answer.payload;
    if (link->ifi_flags & IFF_LOOPBACK) return 0;
    const struct rtattr *info = pr_netlink_find(IFLA_RTA(link), (size_t)IFLA_PAYLOAD(&answer.header), IFLA_LINKINFO);
    return !info || !pr_netlink_find(RTA_DATA(info), RTA_PAYLOAD(info), IFLA_INFO_KIND);
}

bool pr_is_behind_a_network_card(struct pr_prober *prober, const struct pr_peer *peer) {
    int device = device_towards(prober, peer);
    return device > 0 && device_is_physical(prober, device) == 1;
}
