/** What the relay has counted, as metrics. @module */
import { answeredByLanes, type Counters, type Lane } from '../relay/relay.ts';
import { byLabel, type Family, histogram, histogramByLabel, type Sample, single } from './family.ts';

/** All of them, of one reading of the counters. */
export function relayFamilies(now: Counters, lanes: readonly Lane[]): Family[] {
  return [
    ...byteFamilies(now),
    ...transmissionFamilies(now),
    ...holdFamilies(now),
    ...sharing(now),
    ...work(now, lanes),
  ];
}

function byteFamilies(now: Counters): Family[] {
  const { uncopied, copied, notTried } = now.zerocopySends;
  return [
    byLabel(
      'counter',
      'pagerelay_sent_bytes_total',
      'Body bytes that sockets have taken, by engine.',
      'engine',
      now.sentBytes,
    ),
    byLabel(
      'counter',
      'pagerelay_copied_bytes_total',
      "Regions' bytes that were copied on their way to the socket, by engine.",
      'engine',
      now.copiedBytes,
    ),
    byLabel(
      'counter',
      'pagerelay_copy_free_bytes_total',
      "Regions' bytes that went to the socket as the pages themselves, by engine; of zerocopy as its notices say.",
      'engine',
      now.copyFreeBytes,
    ),
    byLabel(
      'counter',
      'pagerelay_numa_bytes_total',
      "Body bytes by whether the connection's lane sits on the NUMA node of most of the region's pages.",
      'locality',
      now.bytesByLocality,
    ),
    byLabel(
      'counter',
      'pagerelay_zerocopy_sends_total',
      'Sends of the engine zerocopy: the kernel did not copy, had to, or it was not tried for so few bytes.',
      'result',
      { uncopied, copied, not_tried: notTried },
    ),
  ];
}

function transmissionFamilies(now: Counters): Family[] {
  const samples: Sample[] = [];
  for (const [engine, outcomes] of Object.entries(now.transmissions)) {
    for (const [outcome, value] of Object.entries(outcomes)) samples.push({ labels: { engine, outcome }, value });
  }
  return [
    {
      name: 'pagerelay_transmissions_total',
      type: 'counter',
      help: 'Response bodies, by engine and how they ended.',
      samples,
    },
    byLabel(
      'gauge',
      'pagerelay_transmissions_in_flight',
      'Response bodies whose pages are held, by how far they are.',
      'state',
      now.inFlight,
    ),
    single(
      'gauge',
      'pagerelay_longest_stall_seconds',
      'Since the transmission in flight that has waited longest made progress.',
      now.stalledSeconds,
    ),
  ];
}

function holdFamilies(now: Counters): Family[] {
  return [
    single('gauge', 'pagerelay_references', 'References to pages that are held now.', now.references),
    single('gauge', 'pagerelay_held_pages', 'Pages under references now; in two, a page counts twice.', now.heldPages),
    single('gauge', 'pagerelay_held_bytes', 'Bytes under references now.', now.heldBytes),
    single('gauge', 'pagerelay_quarantined_references', 'References whose end nobody can tell.', now.quarantined),
    single(
      'gauge',
      'pagerelay_quarantined_bytes',
      'Bytes whose end of being read nobody can tell.',
      now.quarantinedBytes,
    ),
    histogram(
      'pagerelay_hold_seconds',
      'How long references were held, from taking to done; as late as somebody looked.',
      now.holdSeconds,
    ),
    histogram(
      'pagerelay_hold_accepted_seconds',
      'From the taking of a reference until the socket had the whole body.',
      now.acceptedSeconds,
    ),
    histogram(
      'pagerelay_hold_acknowledged_seconds',
      'From the taking of a reference until the peer was seen to have acknowledged the body; copy-free engines only.',
      now.acknowledgedSeconds,
    ),
  ];
}

function sharing(now: Counters): Family[] {
  return [
    single('gauge', 'pagerelay_leases', 'Leases on pages that writers have now.', now.leases),
    single('gauge', 'pagerelay_waiting_writers', 'Writers that wait for pages.', now.waitingWriters),
    single('gauge', 'pagerelay_waiting_readers', 'Readers that wait behind writers.', now.waitingReaders),
    histogramByLabel(
      'pagerelay_wait_seconds',
      'How long writers and readers waited for pages that were not free, until they had them or gave up.',
      'role',
      now.waits,
    ),
    single('counter', 'pagerelay_broken_holds_total', 'References that were broken off for a writer.', now.breaks),
  ];
}

function work(now: Counters, lanes: readonly Lane[]): Family[] {
  const ofLanes = (read: (lane: Lane) => number) =>
    lanes.map((lane, at) => ({ labels: { lane: `${at}` }, value: read(lane) }));
  return [
    single(
      'gauge',
      'pagerelay_connections',
      'Connections that lanes know, and that are open: they have sent natively, or lanes have accepted them.',
      now.connections,
    ),
    single('gauge', 'pagerelay_broken_off_connections', 'Broken-off connections under watch.', now.brokenOff),
    {
      name: 'pagerelay_lane_connections',
      type: 'gauge',
      help: 'Connections by the lane that they belong to.',
      samples: ofLanes(({ connections }) => connections),
    },
    {
      name: 'pagerelay_lane_cpu_seconds_total',
      type: 'counter',
      help: 'CPU time of each lane; at one second a second it is saturated.',
      samples: ofLanes(({ cpuSeconds }) => cpuSeconds),
    },
    single('counter', 'pagerelay_inline_sends_total', 'Bodies that the main thread sent at once.', now.inlineSends),
    single('counter', 'pagerelay_lane_sends_total', 'Bodies that a lane carried.', now.laneSends),
    single('counter', 'pagerelay_looks_total', 'Looks at whether a connection is done.', now.looks),
    single(
      'counter',
      'pagerelay_express_accepted_total',
      'Connections that lanes have accepted, in place of Node.',
      now.acceptedConnections,
    ),
    single('gauge', 'pagerelay_express_connections', 'Connections whose requests lanes read now.', now.reading),
    single('gauge', 'pagerelay_published_regions', 'Regions that lanes answer for by themselves.', now.published),
    single(
      'counter',
      'pagerelay_express_requests_total',
      'Requests that lanes answered by themselves.',
      answeredByLanes(now),
    ),
    byLabel(
      'counter',
      'pagerelay_fed_requests_total',
      'Requests that lanes have read and fed to Node, by why.',
      'reason',
      now.fed,
    ),
    byLabel(
      'counter',
      'pagerelay_handed_over_connections_total',
      'Connections that lanes have handed over to Node for good, by why.',
      'reason',
      now.handedOver,
    ),
    single('gauge', 'pagerelay_native_allocated_bytes', 'Memory that the shim has set aside.', now.allocatedBytes),
  ];
}
