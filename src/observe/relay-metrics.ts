/** What the relay has counted, as metrics. @module */
import { type Counted, type CounterRow, counterRows, distinctions } from '../relay/counters.ts';
import { answeredByLanes, type Counters, type Lane } from '../relay/relay.ts';
import {
  byLabel,
  type Family,
  histogram,
  histogramByLabel,
  type Labels,
  type Sample,
  single,
  typeOf,
} from './family.ts';

/** All of them, of one reading of the counters. */
export function relayFamilies(now: Counters, lanes: readonly Lane[]): Family[] {
  const waits = 'How long writers and readers waited for pages that were not free, until they had them or gave up.';
  const express = 'Requests that lanes answered by themselves.';
  const connections = lanes.map((lane) => lane.connections);
  const cpuSeconds = lanes.map((lane) => lane.cpuSeconds);
  const busy = 'CPU time of each lane; at one second a second it is saturated.';
  return [
    ...counterRows.filter(({ metric }) => metric !== '').map((row) => familyOf(row, now)),
    histogramByLabel('pagerelay_wait_seconds', waits, 'role', now.waits),
    single('pagerelay_express_requests_total', express, answeredByLanes(now)),
    byLabel('pagerelay_lane_connections', 'Connections by the lane that they belong to.', 'lane', connections),
    byLabel('pagerelay_lane_cpu_seconds_total', busy, 'lane', cpuSeconds),
  ];
}

function familyOf({ name, by, times, metric, help }: CounterRow, now: Counted): Family {
  if (times) return histogram(metric, help, now[name] as Counted['holdSeconds']);
  const labels = by.map((distinction) => distinctions[distinction].label);
  return { name: metric, type: typeOf(metric), help, samples: samplesOf(now[name] as Value, labels) };
}

type Value = number | { readonly [key: string]: Value };

/** The samples of a counter with these labels; each is a level of its value. */
function samplesOf(value: Value, [label, ...others]: readonly string[], labels?: Labels): Sample[] {
  if (typeof value === 'number') return [labels ? { labels, value } : { value }];
  return Object.entries(value).flatMap(([key, inner]) => samplesOf(inner, others, { ...labels, [`${label}`]: key }));
}
