/** What the relay has counted, as metrics. @module */
import { type Counted, type CounterRow, counterRows, distinctions } from '../relay/counters.ts';
import { answeredByLanes, type Counters, type Lane } from '../relay/relay.ts';
import { type Family, histogram, histogramByLabel, type Labels, type Sample, single } from './family.ts';

/** All of them, of one reading of the counters. */
export function relayFamilies(now: Counters, lanes: readonly Lane[]): Family[] {
  return [
    ...counterRows.filter(({ metric }) => metric !== '').map((row) => familyOf(row, now)),
    histogramByLabel(
      'pagerelay_wait_seconds',
      'How long writers and readers waited for pages that were not free, until they had them or gave up.',
      'role',
      now.waits,
    ),
    single(
      'counter',
      'pagerelay_express_requests_total',
      'Requests that lanes answered by themselves.',
      answeredByLanes(now),
    ),
    ...laneFamilies(lanes),
  ];
}

function familyOf({ name, by, times, metric, help }: CounterRow, now: Counted): Family {
  if (times) return histogram(metric, help, now[name] as Counted['holdSeconds']);
  const labels = by.map((distinction) => distinctions[distinction].label);
  const type = metric.endsWith('_total') ? 'counter' : 'gauge';
  return { name: metric, type, help, samples: samplesOf(now[name] as Value, labels) };
}

type Value = number | { readonly [key: string]: Value };

/** Of a counter with these labels; each is a level of its value. */
function samplesOf(value: Value, [label, ...others]: readonly string[], labels?: Labels): Sample[] {
  if (typeof value === 'number') return [labels ? { labels, value } : { value }];
  return Object.entries(value).flatMap(([key, inner]) => samplesOf(inner, others, { ...labels, [`${label}`]: key }));
}

function laneFamilies(lanes: readonly Lane[]): Family[] {
  const samples = (read: (lane: Lane) => number) =>
    lanes.map((lane, at) => ({ labels: { lane: `${at}` }, value: read(lane) }));
  return [
    {
      name: 'pagerelay_lane_connections',
      type: 'gauge',
      help: 'Connections by the lane that they belong to.',
      samples: samples(({ connections }) => connections),
    },
    {
      name: 'pagerelay_lane_cpu_seconds_total',
      type: 'counter',
      help: 'CPU time of each lane; at one second a second it is saturated.',
      samples: samples(({ cpuSeconds }) => cpuSeconds),
    },
  ];
}
