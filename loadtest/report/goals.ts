/** What is aimed for, and whether a run has reached it. @module */
import type { Sample } from '../run/rounds.ts';
import { cpuMicrosecondsPerRequest, type Ratios, ratiosOf, requestsPerSecond } from './comparison.ts';
import type { Cast, Results } from './results.ts';
import { ratios, type Spread, spreadOf } from './statistics.ts';

/** One aim. */
export type Goal = {
  readonly what: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly unit?: string;
  /** Over the rounds; the median counts. Undefined: not measured. */
  readonly measured: Spread | undefined;
};

/** Whether it is reached; undefined when it was not measured. */
export function isMet({ atLeast, atMost, measured }: Goal): boolean | undefined {
  if (!measured || Number.isNaN(measured.median)) return undefined;
  return (
    measured.median >= (atLeast ?? Number.NEGATIVE_INFINITY) && measured.median <= (atMost ?? Number.POSITIVE_INFINITY)
  );
}

type Against = { readonly size: number; readonly name: string; readonly requests: number; readonly cpu: number };

/** Requests a second at least, and CPU of a request at most, both over the rival's. */
const againstRival: readonly Against[] = [
  { size: 2 ** 12, name: '4 KiB', requests: 1.15, cpu: 0.85 },
  { size: 2 ** 16, name: '64 KiB', requests: 1.25, cpu: 0.8 },
  { size: 2 ** 20, name: '1 MiB', requests: 1, cpu: 1 },
  { size: 2 ** 24, name: '16 MiB', requests: 1, cpu: 0.95 },
  { size: 2 ** 30, name: 'whole 1 GiB', requests: 1, cpu: 0.95 },
];
const copying: Against = { size: 2 ** 12, name: '4 KiB', requests: 1.3, cpu: 0.8 };
const cpuOverFloor = 1.25;
const latency = { sizes: againstRival.slice(0, 3), atMost: 1 };
const fresh = { ...copying, requests: 0.6 };
const idle = { kibibytes: 2, nativeBytes: 512 };

/** All goals, beside what was measured. */
export function goalsOf(results: Results, cast: Cast): Goal[] {
  const servers = results.servers ?? [];
  return [
    ...againstRival.flatMap((goal) => against(servers, cast.baseline, cast.rival, goal, goal.name)),
    ...against(servers, cast.copyBelow, cast.rival, copying, `${copying.name}, ${cast.copyBelow}`),
    floorGoal(servers, cast),
    ...latency.sizes.map(({ size, name }) => ({
      what: `${name}: p99 at half of ${cast.rival}'s peak, over its p99`,
      atMost: latency.atMost,
      measured: compared(results.rate ?? [], cast.baseline, cast.rival, size)?.p99,
    })),
    {
      what: `${fresh.name}, a new connection for each request: requests/s over ${cast.rival}`,
      atLeast: fresh.requests,
      measured: compared(results.fresh ?? [], cast.baseline, cast.rival, fresh.size)?.requests,
    },
    ...coresGoals(results),
    ...idleGoals(results, cast),
  ];
}

function against(samples: readonly Sample[], ours: string, theirs: string, goal: Against, name: string): Goal[] {
  const ratio = compared(samples, ours, theirs, goal.size);
  return [
    { what: `${name}: requests/s over ${theirs}`, atLeast: goal.requests, measured: ratio?.requests },
    { what: `${name}: server CPU over ${theirs}`, atMost: goal.cpu, measured: ratio?.cpu },
  ];
}

function floorGoal(samples: readonly Sample[], { baseline, floor }: Cast): Goal {
  const measured = compared(samples, baseline, floor, 2 ** 24)?.cpu;
  return { what: `16 MiB: server CPU a GB over the ${floor}`, atMost: cpuOverFloor, measured };
}

// With as many connections, of the same rounds.
function compared(samples: readonly Sample[], over: string, under: string, size: number): Ratios | undefined {
  const own = roundsOf(samples, over, size);
  const other = roundsOf(samples, under, size);
  return own.length > 0 && other.length > 0 ? ratiosOf(own, other) : undefined;
}

function roundsOf(samples: readonly Sample[], peer: string, size: number): Sample[] {
  return samples.filter((sample) => sample.peer === peer && sample.size === size).sort((a, b) => a.round - b.round);
}

// Where the client takes its time from the same processors, it takes as much from either server: then rates draw nearer to
// each other, and what a request costs does not.
function coresGoals({ cores }: Results): Goal[] {
  const over = (of: typeof requestsPerSecond) =>
    cores && spreadOf(ratios(duelRatios(cores.two, of), duelRatios(cores.one, of)));
  const what = '64 KiB, two server processors';
  return [
    { what: `${what}: the ratio of requests/s over that with one`, atLeast: 1, measured: over(requestsPerSecond) },
    { what: `${what}: the ratio of CPU over that with one`, atMost: 1, measured: over(cpuMicrosecondsPerRequest) },
  ];
}

/** A figure of the first peer over that of the second, round by round. */
export function duelRatios(samples: readonly Sample[], of = requestsPerSecond): number[] {
  const [ours, theirs] = [...new Set(samples.map(({ peer }) => peer))];
  const figures = (name: string | undefined) => samples.filter(({ peer }) => peer === name).map(of);
  return ratios(figures(ours), figures(theirs));
}

function idleGoals({ idle: measured }: Results, { baseline }: Cast): Goal[] {
  const samples = measured?.samples ?? [];
  const own = samples.filter(({ peer }) => peer === baseline);
  const others = samples.filter(({ peer }) => peer !== baseline);
  const more = own.flatMap(({ round, resident }) => {
    const beside = others.find((other) => other.round === round);
    return beside ? [(resident - beside.resident) / 1024] : [];
  });
  const native = own.flatMap(({ native }) => native ?? []);
  return [
    {
      what: 'idle connection: memory beyond bare node:http',
      atMost: idle.kibibytes,
      unit: 'KiB',
      measured: more.length > 0 ? spreadOf(more) : undefined,
    },
    {
      what: 'idle connection: of that, native',
      atMost: idle.nativeBytes,
      unit: 'bytes',
      measured: native.length > 0 ? spreadOf(native) : undefined,
    },
  ];
}
