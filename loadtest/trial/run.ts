/** All trials of a run, in an order in which what disturbs the machine for a while disturbs everybody. @module */
import { ClientFailed, startClient } from '../clients/client-process.ts';
import type { Fault } from '../clients/job.ts';
import type { LoadtestOptions } from '../loadtest-options.ts';
import { pinned } from '../measure/pin.ts';
import { UsageError } from '../options.ts';
import { allPeers, type Missing } from '../peers/all.ts';
import type { Command } from '../run/process.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { BadMetrics } from '../scrape/parse.ts';
import type { ScrapePoint } from '../scrape/scraper.ts';
import type { Contender } from './contender.ts';
import { type Field, type FieldContext, startField } from './field.ts';
import { goneFault } from './gone.ts';
import type { Stage } from './stage.ts';
import { openTarget } from './target.ts';
import { runTrial, type Trial, warmUp } from './trial.ts';

/** A fault, and where it showed. */
export type PlacedFault = Fault & { readonly peer: string; readonly scenario: string; readonly round: number };

/** What a run has given, also when it was cut short. */
export type Outcome = {
  readonly peers: readonly { readonly name: string; readonly about: string }[];
  readonly missing: Field['missing'];
  readonly trials: readonly Trial[];
  readonly faults: readonly PlacedFault[];
  /** By peer. */
  readonly series: Readonly<Record<string, readonly ScrapePoint[]>>;
  readonly end: 'complete' | 'faults' | 'interrupted' | 'out of time';
};

/** What is missing where a server has no metrics: its name in `missing`. */
export const metricsMissing = 'comparison with metrics';

/** Hears of what goes on. */
export type Listener = {
  readonly planned: (trials: number) => void;
  readonly began: (scenario: Scenario, peer: string, round: number) => void;
  readonly ended: (trial: Trial) => void;
};

type Step = { readonly contender: Contender; readonly scenario: Scenario; readonly round: number };

/** Runs everything that was asked for. The first fault ends it: no figure after it would mean anything. */
export async function runAll(context: FieldContext, options: LoadtestOptions, listener: Listener): Promise<Outcome> {
  const { scope, pins, clock } = context;
  const pin = (command: Command) => pinned(pins?.client, command);
  const late = AbortSignal.timeout(options.maxMinutes * 60_000);
  const signal = AbortSignal.any([scope.signal, late]);
  const stage: Stage = {
    main: startClient(scope, pin, signal),
    checker: startClient(scope, pin, signal),
    signal,
    seconds: options.profile.seconds,
    most: options.maxRequests,
    settleSeconds: options.settleSeconds,
    clock,
  };
  const field = await fieldOf(context, options);
  const everybody = [...field.contenders, ...(field.written ? [field.written] : [])];
  const trials: Trial[] = [];
  const faults: PlacedFault[] = [];
  for (const { scraper } of everybody) scraper?.start();
  const end = await untilAborted(stage.signal, scope.signal, async () => {
    for (const contender of everybody) {
      const wrong = await warmUp(stage, contender);
      faults.push(...wrong.map((fault) => ({ ...fault, peer: contender.name, scenario: 'warm-up', round: 0 })));
    }
    for (const step of stepsOf(field, options, clock, listener)) {
      if (faults.length > 0) return;
      stage.signal.throwIfAborted();
      const { contender, scenario, round } = step;
      listener.began(scenario, contender.name, round);
      const trial = await runTrial(stage, contender, scenario, round).catch(async (error: unknown) => {
        stage.signal.throwIfAborted();
        const wrong = await faultsBehind(error, contender);
        faults.push(...wrong.map((fault) => ({ ...fault, peer: contender.name, scenario: scenario.name, round })));
      });
      if (!trial) return;
      trials.push(trial);
      faults.push(...trial.faults.map((fault) => ({ ...fault, peer: contender.name, scenario: scenario.name, round })));
      listener.ended(trial);
    }
  });
  return {
    peers: everybody.map(({ name, about }) => ({ name, about })),
    missing: [...field.missing, ...leftOut(field, options)],
    trials,
    faults,
    series: Object.fromEntries(everybody.flatMap(({ name, scraper }) => (scraper ? [[name, scraper.points]] : []))),
    end: faults.length > 0 ? 'faults' : end,
  };
}

// Between two loads, too, a server can die, or its metrics break.
async function faultsBehind(error: unknown, contender: Contender): Promise<readonly Fault[]> {
  const gone = await goneFault(contender);
  if (gone.length > 0) return gone;
  if (error instanceof BadMetrics) return [{ kind: 'bad-metrics', detail: error.message }];
  if (error instanceof ClientFailed) return [{ kind: 'no-answer', detail: error.message }];
  throw error;
}

async function untilAborted(any: AbortSignal, interrupted: AbortSignal, work: () => Promise<void>) {
  try {
    await work();
    return 'complete';
  } catch (error) {
    if (!any.aborted) throw error;
    return interrupted.aborted ? 'interrupted' : 'out of time';
  }
}

async function fieldOf(context: FieldContext, { target, peers, scenarios }: LoadtestOptions): Promise<Field> {
  if (target) {
    const missing = scenarios.flatMap(({ name, writes }) =>
      writes === undefined ? [] : [{ name, why: 'it would write to a service that is not of this run' }],
    );
    if (missing.length === scenarios.length)
      throw new UsageError('beside a writer, only a service of this run is read');
    const contender = await openTarget(context, target);
    const uncounted = contender.scraper ? [] : [{ name: metricsMissing, why: '/metrics answers 404' }];
    return { contenders: [contender], written: undefined, missing: [...missing, ...uncounted] };
  }
  const writes = scenarios.find((scenario) => scenario.writes !== undefined)?.writes;
  return startField(context, peers, writes);
}

function* stepsOf(
  field: Field,
  { scenarios, profile }: LoadtestOptions,
  clock: () => number,
  listener: Listener,
): Generator<Step> {
  const once = scenarios.flatMap((scenario) => {
    const running = whoRuns(field, scenario, profile);
    const rounds = running.length > 1 ? profile.rounds : profile.roundsAlone;
    const numbers = Array.from({ length: rounds }, (_, at) => at + 1);
    return numbers.flatMap((round) => inTurn(running, round).map((contender) => ({ contender, scenario, round })));
  });
  listener.planned(once.length);
  yield* once;
  if (once.length === 0) return;
  for (let again = 1; clock() < (profile.repeatForSeconds ?? 0); again++) {
    listener.planned((again + 1) * once.length);
    for (const step of once) yield { ...step, round: step.round + again * profile.rounds };
  }
}

// Each is the first of a round now and then: a client's code is cold when a scenario begins.
function inTurn(running: readonly Contender[], round: number): readonly Contender[] {
  const first = (round - 1) % Math.max(1, running.length);
  return [...running.slice(first), ...running.slice(0, first)];
}

function whoRuns(
  { contenders, written }: Field,
  { name, writes, against }: Scenario,
  { compared }: LoadtestOptions['profile'],
): readonly Contender[] {
  if (writes !== undefined) return written ? [written] : [];
  if (against === 'nobody' || !(compared?.includes(name) ?? true)) return contenders.slice(0, 1);
  if (against === 'peers') return contenders;
  const able = against.map((word) => allPeers.get(word)?.name);
  return contenders.filter((contender, at) => at === 0 || able.includes(contender.name));
}

/** Who of the field does not run what: one entry for all scenarios that leave out the same. */
function leftOut(field: Field, { scenarios, profile }: LoadtestOptions): Missing[] {
  const out = scenarios.flatMap((scenario) => {
    const running = whoRuns(field, scenario, profile);
    const absent = field.contenders.filter((contender) => !running.includes(contender)).map(({ name }) => name);
    const isOwn = scenario.writes !== undefined || absent.length === 0;
    const isShort = profile.compared?.includes(scenario.name) === false;
    return isOwn ? [] : [{ scenario: scenario.name, absent: absent.join(', '), isShort }];
  });
  return [...Map.groupBy(out, ({ absent, isShort }) => `${absent} ${isShort}`).values()].map((group) => ({
    name: `${group[0]?.absent} in ${group.map(({ scenario }) => scenario).join(', ')}`,
    why: group[0]?.isShort
      ? `the profile ${profile.name} has no time for it`
      : 'scenarios.ts names who takes part there',
  }));
}
