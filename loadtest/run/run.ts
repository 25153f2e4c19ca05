/** All trials of a run, in an order in which what disturbs the machine for a while disturbs everybody. @module */
import { tmpdir } from 'node:os';
import { type CClient, compileClient, runC } from '../clients/c.ts';
import { ClientFailed, startClient } from '../clients/client-process.ts';
import type { ClientResult, Fault, Job } from '../clients/job.ts';
import { pinned } from '../measure/pin.ts';
import type { Scenario } from '../model/scenario.ts';
import type { RunOptions } from '../options.ts';
import { BadMetrics } from '../scrape/parse.ts';
import { type Missing, rival } from '../servers/all.ts';
import { type Contender, jobOf, tagsOf } from './contender.ts';
import { Field, type FieldContext } from './field.ts';
import { runIdle } from './idle.ts';
import { goneFault } from './judge.ts';
import { grouped, type Outcome, type PlacedFault, seriesOf } from './outcome.ts';
import type { Command } from './process.ts';
import { metricsMissing, openTarget, whyNotOf } from './target.ts';
import { boundsOf, type Marks, prepare, runTrial, type Stage, type Step, type Trial, verify } from './trial.ts';

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
  const run = new Run(context, options, listener, signal);
  try {
    await run.all();
    return run.outcome('complete');
  } catch (error) {
    if (!signal.aborted) throw error;
    return run.outcome(interrupted.aborted ? 'interrupted' : 'out of time');
  }
}

class Run {
  readonly #context: FieldContext;
  readonly #options: RunOptions;
  readonly #listener: Listener;
  readonly #field: Field;
  readonly #known = new Map<string, Contender>();
  readonly #missing: Missing[] = [];
  readonly #trials: Trial[] = [];
  readonly #faults: PlacedFault[] = [];
  readonly #stage: Stage;
  #fast: Promise<CClient> | undefined;
  #target: Contender | undefined;

  constructor(context: FieldContext, options: RunOptions, listener: Listener, signal: AbortSignal) {
    this.#context = context;
    this.#options = options;
    this.#listener = listener;
    this.#field = new Field(context, options.target ? [] : options.servers);
    const { profile, maxRequests: most, settleSeconds } = options;
    const main = startClient(context.scope, this.#pin, signal);
    const checker = profile.clients === 'checking' ? startClient(context.scope, this.#pin, signal) : undefined;
    const load = async (job: Job, marks?: Marks, verifies = false): Promise<ClientResult> => {
      if (job.client === 'c') return runC(await this.#cClient(), job, signal, verifies, marks);
      marks?.began();
      return main.ask<ClientResult>(job, job.seconds).finally(() => marks?.ended());
    };
    const { clock } = context;
    this.#stage = {
      load,
      check: checker && ((job) => checker.ask(job, job.seconds)),
      profile,
      most,
      settleSeconds,
      signal,
      clock,
    };
  }

  readonly #pin = (command: Command) => pinned(this.#context.pins(1)?.client, command);

  /** Runs every scenario, again and again where the profile says so. */
  async all(): Promise<void> {
    const { scenarios, profile, target } = this.#options;
    if (target) this.#target = await openTarget(this.#context, target);
    if (this.#target && !this.#target.scraper)
      this.#missing.push({ name: metricsMissing, why: '/metrics answers 404' });
    const runnable = scenarios.filter((scenario) => this.#isRunnable(scenario));
    const planned = runnable.reduce((sum, scenario) => sum + this.#plannedOf(scenario), 0);
    for (let again = 0; ; again++) {
      this.#listener.planned((again + 1) * planned);
      for (const [at, scenario] of runnable.entries()) {
        await this.#scenario(scenario, again * profile.rounds);
        if (this.#faults.length > 0) return;
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
    if (scenario.idle !== undefined) return this.#idle(scenario, before);
    const { profile } = this.#options;
    const contenders = this.#target ? [this.#target] : await this.#field.contenders(scenario, profile);
    if (this.#stage.check) for (const { scraper } of contenders) scraper?.start();
    await this.#rounds(scenario, contenders, before);
    for (const { scraper } of contenders) scraper?.pause();
  }

  async #rounds(scenario: Scenario, contenders: readonly Contender[], before: number): Promise<void> {
    const etags = new Map<string, readonly string[]>();
    for (const contender of contenders) {
      etags.set(contender.name, scenario.conditional ? await tagsOf(contender, scenario) : []);
      await this.#prepare(contender, { scenario, round: 0, rate: undefined, etags: etags.get(contender.name) ?? [] });
      if (this.#faults.length > 0) return;
    }
    for (let round = 1; round <= this.#roundsOf(scenario, contenders.length); round++) {
      const rate = await this.#rateOf(scenario, contenders, round);
      // Each is the first of a round now and then: a client's code is cold when a scenario begins.
      for (const contender of inTurn(contenders, round)) {
        const step = { scenario, round: before + round, rate, etags: etags.get(contender.name) ?? [] };
        await this.#one(contender.name, step, () => runTrial(this.#stage, contender, step), contender);
        if (this.#faults.length > 0) return;
      }
    }
  }

  async #prepare(contender: Contender, step: Step): Promise<void> {
    const key = `${contender.name} ${contender.origin}`;
    const isNew = !this.#known.has(key);
    this.#known.set(key, contender);
    const found = await this.#orFaults(contender, async () => [
      ...(isNew ? await prepare(this.#stage, contender, step) : []),
      ...(await verify(this.#stage, contender, step)),
    ]);
    this.#place(found, contender.name, { ...step, scenario: { ...step.scenario, name: 'warm-up' } });
    if (!this.#target && contender.scraper?.points.at(-1)?.sentBytes.stream) {
      throw new Error(`${contender.name} runs without its native shim (npm rebuild makes it)`);
    }
  }

  // What is fixed, or a share of what the rival reaches now.
  async #rateOf(scenario: Scenario, contenders: readonly Contender[], round: number): Promise<number | undefined> {
    const { rate, ...asked } = scenario;
    if (typeof rate !== 'object') return rate;
    const fastest = contenders.find(({ name }) => name === rival.name);
    if (!fastest) return undefined;
    const bounds = { ...boundsOf(this.#stage, scenario), seconds: this.#stage.profile.seconds };
    const { requests, seconds } = await this.#stage.load(jobOf(fastest, asked, bounds, round));
    return Math.round((requests / seconds) * rate.share);
  }

  async #idle(scenario: Scenario, before: number): Promise<void> {
    const { servers } = this.#field.takePart(scenario, this.#options.profile);
    const client = await this.#cClient();
    for (let round = 1; round <= this.#roundsOf(scenario, servers.length); round++) {
      for (const server of servers) {
        const step = { scenario, round: before + round, rate: undefined, etags: [] };
        const idle = () => runIdle(this.#context.scope, this.#stage, this.#field, client, server, step);
        await this.#one(server.name, step, idle);
        if (this.#faults.length > 0) return;
      }
    }
  }

  async #one(server: string, step: Step, work: () => Promise<Trial>, contender?: Contender): Promise<void> {
    const { scenario, round } = step;
    this.#stage.signal.throwIfAborted();
    this.#listener.began(scenario, server, round);
    let trial: Trial | undefined;
    const found = await this.#orFaults(contender, async () => {
      trial = await work();
      return trial.faults;
    });
    this.#place(found, server, step);
    if (!trial) return;
    this.#trials.push(trial);
    this.#listener.ended(trial);
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

  #place(faults: readonly Fault[], server: string, { scenario, round }: Step): void {
    this.#faults.push(...faults.map((fault) => ({ ...fault, server, scenario: scenario.name, round })));
  }

  #cClient(): Promise<CClient> {
    if (this.#fast) return this.#fast;
    const folder = this.#context.scope.folder(tmpdir());
    this.#fast = compileClient(folder).then((program) => ({ command: this.#pin([program]), folder }));
    return this.#fast;
  }

  outcome(end: Outcome['end']): Outcome {
    return {
      ...seriesOf([...this.#known.values()]),
      missing: grouped([...this.#field.missing, ...this.#missing]),
      trials: this.#trials,
      faults: this.#faults,
      end: this.#faults.length > 0 ? 'faults' : end,
    };
  }
}

function inTurn<Each>(running: readonly Each[], round: number): readonly Each[] {
  const first = (round - 1) % Math.max(1, running.length);
  return [...running.slice(first), ...running.slice(0, first)];
}
