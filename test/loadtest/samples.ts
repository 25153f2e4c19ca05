/** Results of runs that never were. @module */

import { encodeLatency, newLatency, recordLatency } from '../../loadtest/clients/latency.ts';
import type { ClientResult } from '../../loadtest/clients/tally.ts';
import { profiles } from '../../loadtest/model/profiles.ts';
import { scenarios } from '../../loadtest/model/scenarios.ts';
import { type Results, resultsOf } from '../../loadtest/report/results.ts';
import type { Outcome } from '../../loadtest/run/outcome.ts';
import type { Trial } from '../../loadtest/run/trial.ts';

const [quick] = profiles;

/** What a client saw in a second. */
export function clientResult(requests: number, more: Partial<ClientResult> = {}): ClientResult {
  const latency = newLatency();
  for (let at = 1; at <= Math.min(requests, 100); at++) recordLatency(latency, at * 10);
  return {
    client: 'autocannon',
    method: 'GET',
    seconds: 1,
    requests,
    bytes: requests * 4096,
    statuses: { 206: requests },
    aborted: { requests: 0, bytes: 0, askedBytes: 0 },
    checked: { bodies: 0, bytes: 0 },
    missed: 0,
    latency: encodeLatency(latency),
    cpuSeconds: 0.5,
    faults: [],
    faultCount: 0,
    ...more,
  };
}

/** A trial of so many requests, with so many seconds of server CPU. */
export function trialOf(
  server: string,
  round: number,
  requests: number,
  cpuSeconds: number,
  scenario = 'random-4k',
): Trial {
  return {
    scenario,
    server,
    round,
    at: round,
    main: clientResult(requests),
    checker: clientResult(0, { client: 'undici', cpuSeconds: 0 }),
    use: {
      cpuSeconds,
      residentBytes: 2 ** 26,
      switches: requests,
      eventLoopDelayMilliseconds: { mean: 1, p99: 2 },
    },
    isReconciled: true,
    faults: [],
  };
}

/** Results with these trials. */
export function loadResults(trials: readonly Trial[], more: Partial<Outcome> = {}): Results {
  const servers = [...new Set(trials.map(({ server }) => server))].map((name) => ({ name, about: `what ${name} is` }));
  const outcome: Outcome = { servers, missing: [], trials, faults: [], series: {}, end: 'complete', ...more };
  const machine = {
    processor: 'A Processor',
    processors: 2,
    memoryBytes: 2 ** 33,
    kernel: 'Linux 6.18',
    node: 'v24.0.0',
    pagerelay: '0.1.0',
    loadBefore: 0.1,
    date: '2030-01-02 03:04',
  };
  const clients = { autocannon: '9.0.0', undici: '8.0.0', congestionControl: 'cubic' };
  return resultsOf(outcome, {
    startedAt: '2030-01-02T03:04:05.000Z',
    seconds: 40,
    baseline: 'ours',
    conditions: { machine, commit: null, pins: null, command: 'npm run loadtest', ...clients },
    profile: quick ?? (undefined as never),
    scenarios,
  });
}
