/** System calls that are refused here, by a filter of a container or of systemd: what it costs, and the ways out. @module */
import { errnoName, type Shim } from './shim.ts';

const neededCalls = ['openat2', 'vmsplice', 'statx', 'get_mempolicy', 'move_pages', 'AF_NETLINK'] as const;
/** A call that there is another way for; `AF_NETLINK` stands for sockets of that family. */
export type NeededCall = (typeof neededCalls)[number];

/** Calls that are refused, each with the name of its errno. */
export type RefusedCalls = Readonly<Partial<Record<NeededCall, string>>>;

/** One of them, for people. */
export type Refusal = {
  readonly call: NeededCall;
  readonly errno: string;
  readonly cost: string;
  readonly wayOut: string;
};

const seccomp = (call: string) =>
  `allow it: a seccomp profile with ${call} (podman, docker: --security-opt seccomp=PROFILE), SystemCallFilter=${call} (systemd)`;

const costs: Record<NeededCall, string> = {
  openat2: 'paths are gone over name by name, some microseconds more for each look at a file',
  vmsplice: 'huge pages and DAX are copied; other files are sent without it',
  statx: 'a file on DAX is known by its mapping alone, and who overwrites a file of ext4 or xfs waits for its readers',
  get_mempolicy: 'on machines with several NUMA nodes, move_pages is asked for the nodes of pages, if that is allowed',
  move_pages: 'nothing, as long as get_mempolicy is allowed; else it is not known on which NUMA nodes pages are',
  AF_NETLINK: 'nobody can tell what a peer has read, so every peer gets copies',
};

const waysOut: Record<NeededCall, string> = {
  openat2: seccomp('openat2'),
  vmsplice: seccomp('vmsplice'),
  statx: seccomp('statx'),
  get_mempolicy: `${seccomp('get_mempolicy')}, or --cap-add SYS_NICE (podman, docker)`,
  move_pages: `${seccomp('move_pages')}, or --cap-add SYS_NICE (podman, docker)`,
  AF_NETLINK:
    'allow sockets of that family: RestrictAddressFamilies=AF_NETLINK beside the others (systemd), or a seccomp profile',
};

/** Tries the calls, which changes nothing. */
export function tryCalls(shim: Shim): RefusedCalls {
  const refused = Object.entries(shim.witness('refused')).map(([call, result]) => [call, errnoName(result)]);
  return Object.fromEntries(refused) as RefusedCalls;
}

/** What is refused, what that costs, and what to do about it. */
export function refusalsOf(refused: RefusedCalls): Refusal[] {
  return neededCalls.flatMap((call) => {
    const errno = refused[call];
    return errno === undefined ? [] : [{ call, errno, cost: costs[call], wayOut: waysOut[call] }];
  });
}

/** Each as one line. */
export function describeRefusal({ call, errno, cost, wayOut }: Refusal): string {
  return `${call} is refused (${errno}): ${cost}; ${wayOut}`;
}
