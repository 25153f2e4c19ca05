/** What goes with the figures, in whichever report. @module */
import type { Machine } from '../measure/machine.ts';
import { writeNumber, writeSize } from '../report/units.ts';
import type { Results } from './results.ts';

/** Why figures say little; undefined on a quiet machine. */
export function noiseOf({ loadBefore, processors }: Machine): string | undefined {
  if (loadBefore <= processors / 2) return undefined;
  const busy = `load average ${writeNumber(loadBefore)} on ${writeNumber(processors)} processors`;
  return `The machine was busy before the run began (${busy}): figures are noise.`;
}

/** How figures are to be taken. */
export function notesOf({ baseline, profile, conditions, rows }: Results): string[] {
  const noise = noiseOf(conditions.machine);
  const missed = rows.filter((row) => row.missed > 0).map((row) => `${row.missed} by ${row.peer} in ${row.scenario}`);
  const bound = [...new Set(rows.filter(({ limit }) => limit === 'client').map(({ scenario }) => scenario))];
  return [
    ...(noise === undefined ? [] : [`**${noise}**`]),
    ...(missed.length > 0 ? [`At a fixed rate, requests that were due and never sent: ${missed.join('; ')}.`] : []),
    `Medians of ${profile.rounds} rounds (${profile.roundsAlone} where one server ran alone) of ${profile.seconds} s, servers in turn. Ratios are ${baseline} over the other server of the same round: median (smallest..largest). Above 1, ${baseline} has more of it: good for requests/s, bad for CPU.`,
    `autocannon ${conditions.autocannon} made the requests for ranges of up to ${writeSize(conditions.autocannonLargest)} on kept-alive connections without a fixed rate, undici ${conditions.undici} all others (column "client"): figures of the two clients are not to be compared with each other.`,
    bound.length > 0
      ? `**Limited by CLIENT** means that the client's process had no time left while the server had: the rate is a lower bound. Here: ${bound.join(', ')}. CPU s/GB and the ratio of CPU are the server's own even then; \`npm run bench\` has a client that needs less.`
      : 'In no row was the client alone at its limit.',
    ...(rows.some(({ peer, scenario }) => peer.startsWith('nginx') && scenario === 'parquet-128k')
      ? [
          "nginx's `tcp_nopush` delays some answers of parquet-128k by 40 ms on loopback: its ratio of requests/s there says nothing about sending (docs/loadtest.md).",
        ]
      : []),
    'Latency counts to the last byte. In a closed loop it follows from the rate. At a fixed rate it counts from when a request was due, also where none could be sent yet (coordinated omission).',
    "CPU is the server's, with its threads and children and the kernel's work for its packets, over all bytes that it sent meanwhile, also to the reader that checks and to the scraper.",
    'Loopback: no network card, no loss, no distance; a copy costs more there than it seems (docs/loadtest.md).',
  ];
}

/** Where, and of what. */
export function conditionsOf({ conditions, peers, missing }: Results): string[] {
  const { machine, commit, pins } = conditions;
  const pinning = pins ? `server on processor ${pins.server.join(',')}, clients on ${pins.client.join(',')}` : 'none';
  return [
    `${machine.processor}, ${machine.processors} processors, ${writeNumber(machine.memoryBytes / 2 ** 30)} GiB of memory, ${machine.kernel}`,
    `Node ${machine.node}, pagerelay ${machine.pagerelay}${commit ? `, commit ${commit.id.slice(0, 12)}${commit.isChanged ? ' with changes' : ''}` : ''}`,
    `Pinning: ${pinning}. Load average before the run: ${writeNumber(machine.loadBefore)}`,
    ...peers.map(({ name, about }) => `${name}: ${about}`),
    ...missing.map(({ name, why }) => `${name}: not measured, ${why}`),
  ];
}
