/** All trials of a run, in an order in which what disturbs the machine for a while disturbs everybody. @module */
import { ClientFailed } from '../clients/client-process.ts';
import type { Fault } from '../clients/job.ts';
import { needsOwnServers, type Scenario } from '../model/scenario.ts';
import type { RunOptions } from '../options.ts';
import { BadMetrics } from '../scrape/parse.ts';
import { type Missing, rival } from '../servers/all.ts';
import { runCold } from './cold.ts';
import { type Contender, jobOf, tagsOf } from './contender.ts';
import { Field, type FieldContext } from './field.ts';
import { runIdle } from './idle.ts';
import { goneFault } from './judge.ts';
import { grouped, type Outcome, type PlacedFault, seriesOf } from './outcome.ts';
import { type Stage, stageOf } from './stage.ts';
import { metricsMissing, openTarget, whyNotOf } from './target.ts';
import { boundsOf, prepare, runTrial, type Step, type Trial, verify } from './trial.ts';

/** Hears of what goes on. */
export type Listener = {
  readonly planned: (trials: number) => void;
  readonly began: (scenario: Scenario, server: string, round: number) => void;
  readonly ended: (trial: Trial) => void;
};

/** Connections that do nothing are counted in so many rounds at most: each starts servers anew. */
const mostIdleRounds = 2;

/** Runs everything that was asked for. The first fault ends it: no figure after it would mean anything. */
export async function runAll(context: FieldContext, options: RunOptions, listener: Listener): Promise<Outcome> {
  const interrupted = context.scope.signal;
  const signal = AbortSignal.any([interrupted, AbortSignal.timeout(options.maxMinutes * 60_000)]);
  const run = new Run(context, options, listener, stageOf(context, options, signal));
  try {
    await run.all();
    return run.outcome('complete');
  } catch (error) {
    if (error instanceof FaultFound) return run.outcome('faults');
    if (!signal.aborted) throw error;
    return run.outcome(interrupted.aborted ? 'interrupted' : 'out of time');
  }
}

/** Ends a run. What it was is in the outcome. */
class FaultFound extends Error {}

/** Who runs a scenario, in turn with others. */
type Runner = {
  readonly name: string;
  /** Undefined where each trial has a server of its own. */
  readonly contender?: Contender;
  readonly etags: readonly string[];
  readonly run: (step: Step) => Promise<Trial>;
};

class Run {
  readonly #context: FieldContext;
  readonly #options: RunOptions;
  readonly #listener: Listener;
  readonly #stage: Stage;
  readonly #field: Field;
  readonly #known = new Map<string, Contender>();
  readonly #missing: Missing[] = [];
  readonly #trials: Trial[] = [];
  readonly #faults: PlacedFault[] = [];
  #target: Contender | undefined;

  constructor(context: FieldContext, options: RunOptions, listener: Listener, stage: Stage) {
    this.#context = context;
    this.#options = options;
    this.#listener = listener;
    this.#stage = stage;
    this.#field = new Field(context, options.servers, options.given);
  }

  /** Runs every scenario, again and again where the profile says so. */
  async all(): Promise<void> {
    const { scenarios, profile, target } = this.#options;
    if (target) this.#target = await openTarget(this.#context, target);
    if (this.#target && !this.#target.scraper) {
      this.#missing.push({ name: metricsMissing, why: '/metrics answers 404' });
    }
    const runnable = scenarios.filter((scenario) => this.#isRunnable(scenario));
    const planned = runnable.reduce((sum, scenario) => sum + this.#plannedOf(scenario), 0);
    for (let again = 0; ; again++) {
      this.#listener.planned((again + 1) * planned);
      for (const [at, scenario] of runnable.entries()) {
        await this.#scenario(scenario, again * profile.rounds);
        if (profile.repeatForSeconds === undefined) await this.#field.keepFor(runnable.slice(at + 1));
      }
      if (planned === 0 || this.#context.clock() >= (profile.repeatForSeconds ?? 0)) return;
    }
  }

  #isRunnable(scenario: Scenario): boolean {
    const why = this.#target ? whyNotOf(scenario) : undefined;
    if (why !== undefined) this.#missing.push({ name: scenario.name, why });
    else if (!this.#target) this.#missing.push(...this.#field.takePart(scenario, this.#options.profile).missing);
    return why === undefined;
  }

  #plannedOf(scenario: Scenario): number {
    const servers = this.#target ? 1 : this.#field.takePart(scenario, this.#options.profile).servers.length;
    const running = scenario.writes === undefined ? servers : 3 * servers;
    return running * this.#roundsOf(scenario, running);
  }

  #roundsOf({ idle }: Scenario, running: number): number {
    const { rounds, roundsAlone } = this.#options.profile;
    if (idle !== undefined) return Math.min(rounds, mostIdleRounds);
    return running > 1 ? rounds : roundsAlone;
  }

  async #scenario(scenario: Scenario, before: number): Promise<void> {
    const runners = needsOwnServers(scenario) ? this.#alone(scenario) : await this.#prepared(scenario);
    for (let round = 1; round <= this.#roundsOf(scenario, runners.length); round++) {
      const rate = await this.#rateOf(scenario, runners, round);
      // Each is the first of a round now and then: a client's code is cold when a scenario begins.
      for (const runner of inTurn(runners, round)) {
        await this.#one(runner, { scenario, round: before + round, rate, etags: runner.etags });
      }
    }
    for (const { contender } of runners) contender?.scraper?.pause();
  }

  #alone(scenario: Scenario): readonly Runner[] {
    const { servers } = this.#field.takePart(scenario, this.#options.profile);
    const runAlone = scenario.cold ? runCold : runIdle;
    return servers.map((server) => {
      const run = (step: Step) => runAlone(this.#stage, this.#field, server, step);
      return { name: server.name, etags: [], run };
    });
  }

  async #prepared(scenario: Scenario): Promise<readonly Runner[]> {
    const { profile } = this.#options;
    const contenders = this.#target ? [this.#target] : await this.#field.contenders(scenario, profile);
    if (this.#stage.check) for (const { scraper } of contenders) scraper?.start();
    const runners: Runner[] = [];
    for (const contender of contenders) {
      const etags = scenario.conditional ? await tagsOf(contender, scenario) : [];
      await this.#prepare(contender, { scenario, round: 0, rate: undefined, etags });
      const run = (step: Step) => runTrial(this.#stage, contender, step);
      runners.push({ name: contender.name, contender, etags, run });
    }
    return runners;
  }

  async #prepare(contender: Contender, step: Step): Promise<void> {
    const key = `${contender.name} ${contender.origin}`;
    const isNew = !this.#known.has(key);
    this.#known.set(key, contender);
    const found = await this.#orFaults(contender, async () => [
      ...(isNew ? await prepare(this.#stage, contender, step) : []),
      ...(await verify(this.#stage, contender, step)),
    ]);
    this.#endBy(found, contender.name, 'warm-up', step.round);
    if (!this.#target && contender.scraper?.points.at(-1)?.sentBytes.stream) {
      throw new Error(`${contender.name} runs without its native shim (npm rebuild makes it)`);
    }
  }

  // What is fixed, or a share of what the rival reaches now.
  async #rateOf(scenario: Scenario, runners: readonly Runner[], round: number): Promise<number | undefined> {
    const { rate } = scenario;
    if (typeof rate !== 'object') return rate;
    const fastest = runners.find(({ name }) => name === rival.name)?.contender;
    if (!fastest) return undefined;
    const bounds = { ...boundsOf(this.#stage, scenario), seconds: this.#stage.profile.seconds };
    const { requests, seconds } = await this.#stage.load(
      jobOf(fastest, { ...scenario, rate: undefined }, bounds, round),
    );
    return Math.round((requests / seconds) * rate.share);
  }

  async #one({ name, contender, run }: Runner, step: Step): Promise<void> {
    const { scenario, round } = step;
    this.#stage.signal.throwIfAborted();
    this.#listener.began(scenario, name, round);
    const found = await this.#orFaults(contender, async () => {
      const trial = await run(step);
      this.#trials.push(trial);
      this.#listener.ended(trial);
      return trial.faults;
    });
    this.#endBy(found, name, scenario.name, round);
  }

  // Between two loads, too, a server can die, or its metrics break.
  async #orFaults(contender: Contender | undefined, work: () => Promise<readonly Fault[]>): Promise<readonly Fault[]> {
    try {
      return await work();
    } catch (error) {
      this.#stage.signal.throwIfAborted();
      const gone = contender ? await goneFault(contender) : [];
      if (gone.length > 0) return gone;
      if (error instanceof BadMetrics) return [{ kind: 'bad-metrics', detail: error.message }];
      if (error instanceof ClientFailed) return [{ kind: 'no-answer', detail: error.message }];
      throw error;
    }
  }

  #endBy(faults: readonly Fault[], server: string, scenario: string, round: number): void {
    this.#faults.push(...faults.map((fault) => ({ ...fault, server, scenario, round })));
    if (faults.length > 0) throw new FaultFound();
  }

  outcome(end: Outcome['end']): Outcome {
    const missing = grouped([...this.#field.missing, ...this.#missing]);
    return { ...seriesOf([...this.#known.values()]), missing, trials: this.#trials, faults: this.#faults, end };
  }
}

function inTurn<Each>(running: readonly Each[], round: number): readonly Each[] {
  const first = (round - 1) % Math.max(1, running.length);
  return [...running.slice(first), ...running.slice(0, first)];
}
