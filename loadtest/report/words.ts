/** What goes with the figures, in whichever report: sentences. @module */
import type { Machine } from '../measure/machine.ts';
import { clientsInWords } from '../run/contender.ts';
import type { PlacedFault } from '../run/outcome.ts';
import { metricsMissing } from '../run/target.ts';
import type { Results } from './results.ts';
import { writeNumber } from './text.ts';

/** A fault with its place. */
export function sayFault({ kind, request, detail, server, scenario, round }: PlacedFault): string {
  const what = request === undefined ? detail : `${request}: ${detail}`;
  return `${kind} (${server}, ${scenario}, round ${round}): ${what}`;
}

/** `1 fault`, `2 faults`. */
export function countFaults(count: number): string {
  return count === 1 ? '1 fault' : `${count} faults`;
}

/** How it ended, in one sentence. */
export function verdictOf({ end, faults, trials, rows, baseline, missing, profile }: Results): string {
  if (end === 'interrupted') return 'Interrupted: what was measured until then.';
  if (end === 'out of time') return 'Out of time: what was measured until then.';
  const [first] = faults;
  if (first) return `FAILED: ${countFaults(faults.length)}, the first: ${sayFault(first)}`;
  const sum = (of: (row: Results['rows'][number]) => number) => rows.reduce((total, row) => total + of(row), 0);
  const reconciled = trials.filter(({ isReconciled }) => isReconciled).length;
  const bytes = sum(({ checkedBytes }) => checkedBytes);
  const checked =
    profile.clients === 'fast'
      ? 'in each scenario, bodies were compared byte for byte'
      : `${writeNumber(bytes / 2 ** 20)} MiB of them were compared by sha-256`;
  const metrics =
    reconciled === 0
      ? `its counters were NOT compared: ${missing.find(({ name }) => name === metricsMissing)?.why ?? 'no server of this run has any'}`
      : `in all ${reconciled} loads on ${baseline} itself (of ${trials.length}), its counters added up with what the clients saw, and its gauges returned to zero`;
  return `Passed: ${writeNumber(sum(({ requests }) => requests))} answers had the right status, headers and length; ${checked}; ${metrics}.`;
}

/** Why figures say little; undefined on a quiet machine. */
export function noiseOf({ loadBefore, processors }: Machine): string | undefined {
  if (loadBefore <= processors / 2) return undefined;
  const busy = `load average ${writeNumber(loadBefore)} on ${writeNumber(processors)} processors`;
  return `The machine was busy before the run began (${busy}): figures are noise.`;
}

/** Below this many rounds the spread says nothing. */
const fewRounds = 3;

/** How figures are to be taken. */
export function notesOf({ baseline, profile, conditions, rows, scenarios }: Results): string[] {
  const noise = noiseOf(conditions.machine);
  const missed = rows.filter((row) => row.missed > 0).map((row) => `${row.missed} by ${row.server} in ${row.scenario}`);
  const bound = [...new Set(rows.filter(({ limit }) => limit === 'client').map(({ scenario }) => scenario))];
  const { rounds, roundsAlone, seconds, clients } = profile;
  const isFast = clients === 'fast';
  return [
    noise && `**${noise}**`,
    rounds < fewRounds && `*Few rounds (${rounds}): a try, no result.*`,
    missed.length > 0 && `At a fixed rate, requests that were due and never sent: ${missed.join('; ')}.`,
    `Medians of ${rounds} rounds (${roundsAlone} where one server ran alone, 2 of idle connections) of ${seconds} s or what a scenario needs, servers in turn, the order rotating. Ratios are ${baseline} over the other server of the same round: median (smallest..largest). Above 1, ${baseline} has more of it: good for requests/s, bad for CPU and latency. Where rounds lie on both sides of 1, nothing was shown.`,
    `${clientsInWords(clients)}: figures of different clients are not to be compared with each other (autocannon ${conditions.autocannon}, undici ${conditions.undici}).`,
    isFast &&
      'That client throws bodies away in the kernel (MSG_TRUNC), so that its copy hides no cost of the server. It checks status, length and Content-Range of each response, and that nothing but the next one follows; before each scenario (after it, where servers have to be cold) bodies are compared with the file, byte for byte.',
    bound.length > 0
      ? `**Limited by CLIENT** means that the client's process had no time left while the server had: the rate is a lower bound. Here: ${bound.join(', ')}. CPU and the ratio of CPU are the server's own even then${isFast ? '' : '; `npm run bench` has a client that needs less'}.`
      : 'In no row was the client alone at its limit.',
    scenarios.some(({ pattern }) => pattern === 'parquet') &&
      "nginx's `tcp_nopush` delays some answers of parquet-128k by 40 ms on loopback: its ratio of requests/s there says nothing about sending (docs/loadtest.md).",
    'Latency counts to the last byte. In a closed loop it follows from the rate. At a fixed rate it counts from when a request was due, also where none could be sent yet (coordinated omission); with new connections, from before they were made.',
    "CPU is the server's, with its threads and children and the kernel's work for its packets, over all that it answered and sent meanwhile.",
    'Loopback: no network card, no loss, no distance; a copy costs more there than it seems (docs/loadtest.md).',
  ].filter((note) => typeof note === 'string');
}

/** Where, and of what. */
export function conditionsOf({ conditions, servers, missing }: Results): string[] {
  const { machine, commit, pins, congestionControl } = conditions;
  const pinning = pins ? `server on processor ${pins.server.join(',')}, clients on ${pins.client.join(',')}` : 'none';
  return [
    `${machine.date} UTC, ${machine.processor}, ${machine.processors} processors, ${writeNumber(machine.memoryBytes / 2 ** 30)} GiB of memory, ${machine.kernel}`,
    `Node ${machine.node}, pagerelay ${machine.pagerelay}${commit ? `, commit ${commit.id.slice(0, 12)}${commit.isChanged ? ' with changes' : ''}` : ''}`,
    `Congestion control of TCP: ${congestionControl}, unless a server asks for another (pagerelay does on loopback in place of bbr: docs/performance.md)`,
    `Pinning: ${pinning}; with two processors for the server, the client has what is left, or shares them. Load average before the run: ${writeNumber(machine.loadBefore)}`,
    ...servers.map(({ name, about }) => `${name}: ${about}`),
    ...missing.map(({ name, why }) => `${name}: not measured, ${why}`),
  ];
}
