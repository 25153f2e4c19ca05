/** What is counted of a relay. Written from native-shim/core/base/counters.h by `npm run counters`. @module */
import type { Durations } from './durations.ts';

/** What counters are told apart by, with the label of their metrics. */
// biome-ignore format: one a line
export const distinctions = {
  engine: { label: 'engine', values: [ 'sendfile', 'splice', 'copy', 'stream', 'zerocopy' ] },
  outcome: { label: 'outcome', values: [ 'complete', 'aborted', 'stalled', 'truncated', 'failed', 'cancelled', 'broken' ] },
  locality: { label: 'locality', values: [ 'local', 'remote', 'unknown' ] },
  zerocopy: { label: 'result', values: [ 'uncopied', 'copied', 'not_tried' ] },
  state: { label: 'state', values: [ 'held', 'sending', 'accepted', 'broken', 'quarantined' ] },
  answered: { label: '', values: [ 'whole', 'ranged', 'head', 'notModified', 'headNotModified', 'failed', 'headFailed', 'unsatisfiable', 'limited', 'headLimited' ] },
  fed: { label: 'reason', values: [ 'unpublished', 'request', 'guard', 'changed', 'writer', 'failed' ] },
  handed: { label: 'reason', values: [ 'grammar', 'end', 'late', 'last', 'closing' ] },
  limited: { label: 'reason', values: [ 'connections', 'idle_closed', 'min_rate', 'bandwidth', 'transmissions', 'held_bytes', 'connections_per_address', 'requests_per_second', 'memory', 'head_timeout', 'head_size', 'url_size', 'ranges' ] },
} as const;

export type Distinction = keyof typeof distinctions;

type By<Name extends Distinction, Value> = Readonly<Record<(typeof distinctions)[Name]['values'][number], Value>>;

/** The counters, as the shim tells them. */
export type Counted = {
  /** Body bytes that sockets have taken, by engine. */
  readonly sentBytes: By<'engine', number>;
  /** Regions' bytes that were copied on their way to the socket, by engine. */
  readonly copiedBytes: By<'engine', number>;
  /** Regions' bytes that went to the socket as the pages themselves, by engine; of zerocopy as its notices say. */
  readonly copyFreeBytes: By<'engine', number>;
  /** Body bytes by whether the connection's lane sits on the NUMA node of most of the region's pages. */
  readonly bytesByLocality: By<'locality', number>;
  /** Sends of the engine zerocopy: the kernel did not copy, had to, or it was not tried for so few bytes. */
  readonly zerocopySends: By<'zerocopy', number>;
  /** Calls that gave body bytes to sockets, by engine. */
  readonly sends: By<'engine', number>;
  /** Response bodies, by engine and how they ended. */
  readonly transmissions: By<'engine', By<'outcome', number>>;
  /** Response bodies whose pages are held, by how far they are. */
  readonly inFlight: By<'state', number>;
  /** Since the transmission in flight that has waited longest made progress. */
  readonly stalledSeconds: number;
  /** References to pages that are held now. */
  readonly references: number;
  /** Pages under references now; in two, a page counts twice. */
  readonly heldPages: number;
  /** Bytes under references now. */
  readonly heldBytes: number;
  /** References whose end nobody can tell. */
  readonly quarantined: number;
  /** Bytes whose end of being read nobody can tell. */
  readonly quarantinedBytes: number;
  /** How long references were held, from taking to done; as late as somebody looked. */
  readonly holdSeconds: Durations;
  /** From the taking of a reference until the socket had the whole body. */
  readonly acceptedSeconds: Durations;
  /** From the taking of a reference until the peer was seen to have acknowledged the body; copy-free engines only. */
  readonly acknowledgedSeconds: Durations;
  /** Old bytes of regions that are kept in memory for readers who had not been sent them when a writer came. */
  readonly keptBytes: number;
  /** How often a response body went on with such a copy, so that the writer need not wait for it. */
  readonly keeps: number;
  /** Leases on pages that writers have now. */
  readonly leases: number;
  /** Writers that wait for pages. */
  readonly waitingWriters: number;
  /** Readers that wait behind writers. */
  readonly waitingReaders: number;
  /** References that were broken off for a writer. */
  readonly breaks: number;
  /** Files of regions that are open, those without a name that are still read among them. */
  readonly openFiles: number;
  /** Connections that lanes know, and that are open: they have sent natively, or lanes have accepted them. */
  readonly connections: number;
  /** Broken-off connections under watch. */
  readonly brokenOff: number;
  /** Bodies that the main thread sent at once. */
  readonly inlineSends: number;
  /** Bodies that a lane carried. */
  readonly laneSends: number;
  /** Looks at whether a connection is done. */
  readonly looks: number;
  /** Connections that lanes have accepted, in place of Node. */
  readonly acceptedConnections: number;
  /** How often lanes have limited somebody, by why. */
  readonly limited: By<'limited', number>;
  /** Connections whose requests lanes read now. */
  readonly reading: number;
  /** Regions that lanes answer for by themselves. */
  readonly published: number;
  /** What lanes have answered by themselves. */
  readonly answers: By<'answered', number>;
  /** The whole bodies among it. */
  readonly wholeByEngine: By<'engine', number>;
  /** The ranges among it. */
  readonly rangedByEngine: By<'engine', number>;
  /** Requests that lanes have read and fed to Node, by why. */
  readonly fed: By<'fed', number>;
  /** Connections that lanes have handed over to Node for good, by why. */
  readonly handedOver: By<'handed', number>;
  /** Memory that the shim has set aside. */
  readonly allocatedBytes: number;
};

/** How one is told. */
export type CounterRow = {
  readonly name: keyof Counted;
  readonly by: readonly Distinction[];
  readonly times: boolean;
  /** Empty where it is told in another way. */
  readonly metric: string;
  readonly help: string;
};

// biome-ignore format: one a line
export const counterRows: readonly CounterRow[] = [
  { name: 'sentBytes', by: [ 'engine' ], times: false, metric: 'pagerelay_sent_bytes_total', help: 'Body bytes that sockets have taken, by engine.' },
  { name: 'copiedBytes', by: [ 'engine' ], times: false, metric: 'pagerelay_copied_bytes_total', help: "Regions' bytes that were copied on their way to the socket, by engine." },
  { name: 'copyFreeBytes', by: [ 'engine' ], times: false, metric: 'pagerelay_copy_free_bytes_total', help: "Regions' bytes that went to the socket as the pages themselves, by engine; of zerocopy as its notices say." },
  { name: 'bytesByLocality', by: [ 'locality' ], times: false, metric: 'pagerelay_numa_bytes_total', help: "Body bytes by whether the connection's lane sits on the NUMA node of most of the region's pages." },
  { name: 'zerocopySends', by: [ 'zerocopy' ], times: false, metric: 'pagerelay_zerocopy_sends_total', help: 'Sends of the engine zerocopy: the kernel did not copy, had to, or it was not tried for so few bytes.' },
  { name: 'sends', by: [ 'engine' ], times: false, metric: 'pagerelay_sends_total', help: 'Calls that gave body bytes to sockets, by engine.' },
  { name: 'transmissions', by: [ 'engine', 'outcome' ], times: false, metric: 'pagerelay_transmissions_total', help: 'Response bodies, by engine and how they ended.' },
  { name: 'inFlight', by: [ 'state' ], times: false, metric: 'pagerelay_transmissions_in_flight', help: 'Response bodies whose pages are held, by how far they are.' },
  { name: 'stalledSeconds', by: [], times: false, metric: 'pagerelay_longest_stall_seconds', help: 'Since the transmission in flight that has waited longest made progress.' },
  { name: 'references', by: [], times: false, metric: 'pagerelay_references', help: 'References to pages that are held now.' },
  { name: 'heldPages', by: [], times: false, metric: 'pagerelay_held_pages', help: 'Pages under references now; in two, a page counts twice.' },
  { name: 'heldBytes', by: [], times: false, metric: 'pagerelay_held_bytes', help: 'Bytes under references now.' },
  { name: 'quarantined', by: [], times: false, metric: 'pagerelay_quarantined_references', help: 'References whose end nobody can tell.' },
  { name: 'quarantinedBytes', by: [], times: false, metric: 'pagerelay_quarantined_bytes', help: 'Bytes whose end of being read nobody can tell.' },
  { name: 'holdSeconds', by: [], times: true, metric: 'pagerelay_hold_seconds', help: 'How long references were held, from taking to done; as late as somebody looked.' },
  { name: 'acceptedSeconds', by: [], times: true, metric: 'pagerelay_hold_accepted_seconds', help: 'From the taking of a reference until the socket had the whole body.' },
  { name: 'acknowledgedSeconds', by: [], times: true, metric: 'pagerelay_hold_acknowledged_seconds', help: 'From the taking of a reference until the peer was seen to have acknowledged the body; copy-free engines only.' },
  { name: 'keptBytes', by: [], times: false, metric: 'pagerelay_kept_bytes', help: 'Old bytes of regions that are kept in memory for readers who had not been sent them when a writer came.' },
  { name: 'keeps', by: [], times: false, metric: 'pagerelay_kept_for_readers_total', help: 'How often a response body went on with such a copy, so that the writer need not wait for it.' },
  { name: 'leases', by: [], times: false, metric: 'pagerelay_leases', help: 'Leases on pages that writers have now.' },
  { name: 'waitingWriters', by: [], times: false, metric: 'pagerelay_waiting_writers', help: 'Writers that wait for pages.' },
  { name: 'waitingReaders', by: [], times: false, metric: 'pagerelay_waiting_readers', help: 'Readers that wait behind writers.' },
  { name: 'breaks', by: [], times: false, metric: 'pagerelay_broken_holds_total', help: 'References that were broken off for a writer.' },
  { name: 'openFiles', by: [], times: false, metric: 'pagerelay_open_files', help: 'Files of regions that are open, those without a name that are still read among them.' },
  { name: 'connections', by: [], times: false, metric: 'pagerelay_connections', help: 'Connections that lanes know, and that are open: they have sent natively, or lanes have accepted them.' },
  { name: 'brokenOff', by: [], times: false, metric: 'pagerelay_broken_off_connections', help: 'Broken-off connections under watch.' },
  { name: 'inlineSends', by: [], times: false, metric: 'pagerelay_inline_sends_total', help: 'Bodies that the main thread sent at once.' },
  { name: 'laneSends', by: [], times: false, metric: 'pagerelay_lane_sends_total', help: 'Bodies that a lane carried.' },
  { name: 'looks', by: [], times: false, metric: 'pagerelay_looks_total', help: 'Looks at whether a connection is done.' },
  { name: 'acceptedConnections', by: [], times: false, metric: 'pagerelay_express_accepted_total', help: 'Connections that lanes have accepted, in place of Node.' },
  { name: 'limited', by: [ 'limited' ], times: false, metric: '', help: 'How often lanes have limited somebody, by why.' },
  { name: 'reading', by: [], times: false, metric: 'pagerelay_express_connections', help: 'Connections whose requests lanes read now.' },
  { name: 'published', by: [], times: false, metric: 'pagerelay_published_regions', help: 'Regions that lanes answer for by themselves.' },
  { name: 'answers', by: [ 'answered' ], times: false, metric: '', help: 'What lanes have answered by themselves.' },
  { name: 'wholeByEngine', by: [ 'engine' ], times: false, metric: '', help: 'The whole bodies among it.' },
  { name: 'rangedByEngine', by: [ 'engine' ], times: false, metric: '', help: 'The ranges among it.' },
  { name: 'fed', by: [ 'fed' ], times: false, metric: 'pagerelay_fed_requests_total', help: 'Requests that lanes have read and fed to Node, by why.' },
  { name: 'handedOver', by: [ 'handed' ], times: false, metric: 'pagerelay_handed_over_connections_total', help: 'Connections that lanes have handed over to Node for good, by why.' },
  { name: 'allocatedBytes', by: [], times: false, metric: 'pagerelay_native_allocated_bytes', help: 'Memory that the shim has set aside.' },
];
