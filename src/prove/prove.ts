/** The experiment and the measurement on every backing, with every engine. @module */
import os from 'node:os';
import { dirname, join } from 'node:path';
import { version } from '../observe/build-info.ts';
import type { EngineChoice } from '../relay/engine.ts';
import { type MeansOfBacking, meansOn } from '../relay/means.ts';
import { type Refusal, refusalsOf, tryCalls } from '../relay/refused.ts';
import { type Engine, engines } from '../relay/relay.ts';
import type { Shim } from '../relay/shim.ts';
import { type Observation, Witness } from '../relay/witness.ts';
import { claimsOf, conclude, doneOf } from './conclude.ts';
import { type Offer, type OfferMaker, offerOfPath, offersOfMachine } from './offer.ts';
import type { Absent, BackingChoice, Measured, Proof, Result } from './result.ts';
import { Sender } from './sending.ts';

/** What is to be proven. */
export type ProveOptions = {
  readonly engine: EngineChoice;
  /** Folders and devdax devices, beside what the machine offers. The first pages of a device are written and put back. */
  readonly paths: readonly string[];
  /** How long what each engine sends is measured. */
  readonly seconds: number;
};

/** Errors with which a kernel says that an engine does not know a backing. */
const refusals: ReadonlySet<string> = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOSYS', 'EPERM']);

/**
 * Tries each engine on each backing. @throws NoBacking for a path that can't be one; Error when service or reader fail
 */
export async function prove(shim: Shim, { engine, paths, seconds }: ProveOptions): Promise<Proof> {
  const makers = [...offersOfMachine(shim), ...paths.map((path) => offerOfPath(shim, path))];
  const stop = () => process.exit(1);
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const sender = new Sender(seconds);
  try {
    const trials: Trial[] = [];
    for (const make of makers) trials.push(await withOffer(make, (offer) => tryOffer(shim, sender, offer, engine)));
    return proofOf(engine, trials, refusalsOf(tryCalls(shim)));
  } finally {
    sender.end();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** All engines on one backing, or why there is none. */
type Trial = Absent | { readonly choice: BackingChoice; readonly results: readonly Result[] };

function proofOf(configured: EngineChoice, trials: readonly Trial[], refused: readonly Refusal[]): Proof {
  const tried = trials.filter((trial) => 'choice' in trial);
  const absent = trials.filter((trial): trial is Absent => !('choice' in trial));
  const backings = tried.map(({ choice }) => choice);
  return {
    ...circumstances(),
    configured,
    results: tried.flatMap(({ results }) => results),
    backings,
    absent,
    refused,
    claims: claimsOf(configured, backings, absent),
    conclusion: conclude(backings),
  };
}

// A signal, which ends the process by `exit`, leaves no file behind either.
async function withOffer(make: OfferMaker, act: (offer: Offer) => Promise<Trial>): Promise<Trial> {
  const offer = make();
  if (!('close' in offer)) return offer;
  process.once('exit', offer.close);
  try {
    return await act(offer);
  } finally {
    process.off('exit', offer.close);
    offer.close();
  }
}

async function tryOffer(shim: Shim, sender: Sender, offer: Offer, engine: EngineChoice): Promise<Trial> {
  const choice = { ...(await choiceFor(sender, offer, engine)), overwrites: overwritesOf(shim, offer) };
  const results = await resultsOf(shim, sender, offer, choice);
  return { choice: withSeen(choice, results), results };
}

/** A service can try nothing on a devdax device that it serves; here it was tried before anybody was served. */
function withSeen(choice: BackingChoice, results: readonly Result[]): BackingChoice {
  const seen = results.find(({ used }) => used)?.copyFree ?? null;
  if (choice.copyFree !== null || seen === null) return choice;
  return { ...choice, copyFree: seen, because: `it was tried on ${choice.where} itself, which nobody used` };
}

// Regions are only written to in trees, and not in those of hugetlbfs.
function overwritesOf(shim: Shim, { backing, scratch, path }: Offer): MeansOfBacking | null {
  return scratch === 'folder' && backing !== 'hugetlb' ? meansOn(shim, backing, join(dirname(path), 'scratch')) : null;
}

/** What the service itself does with the region, told so. */
async function choiceFor(sender: Sender, offer: Offer, choice: EngineChoice) {
  const { engine, engineBecause, copyFree } = await sender.open(offer.path, choice);
  await sender.close();
  return { backing: offer.backing, where: offer.where, engine, copyFree, because: engineBecause };
}

async function resultsOf(shim: Shim, sender: Sender, offer: Offer, choice: BackingChoice): Promise<Result[]> {
  const { backing, where, scratch, place } = offer;
  const observations = new Witness(shim).observe(scratch, place);
  const notice = noticeOf(shim.witness('notice', scratch, place, 'zerocopy'));
  const results: Result[] = [];
  for (const engine of engines) {
    const refused = refusalOf(observations[engine]);
    const copyFree = refused === null ? observations[engine].copyFree : null;
    results.push({
      backing,
      where,
      engine,
      copyFree,
      refused,
      notice: engine === 'zerocopy' ? notice : null,
      done: doneOf(engine, copyFree),
      used: engine === choice.engine,
      measured: refused === null ? await measure(sender, offer, engine) : null,
    });
  }
  return results;
}

function refusalOf({ failure }: Observation): string | null {
  return failure !== undefined && refusals.has(failure) ? failure : null;
}

function noticeOf(result: number): Result['notice'] {
  return result < 0 ? null : result === 1 ? 'copied' : 'not copied';
}

/** Null where the service takes another engine in its place, for a call is refused. */
async function measure(sender: Sender, { backing, path }: Offer, engine: Engine): Promise<Measured | null> {
  try {
    const { engine: taken } = await sender.open(path, engine);
    const measured = taken === engine ? await sender.measure(engine) : null;
    await sender.close();
    return measured;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`sending ${backing} by ${engine}: ${why}`, { cause });
  }
}

function circumstances() {
  return {
    date: new Date().toISOString(),
    kernel: `${os.type()} ${os.release()} ${os.machine()}`,
    node: process.version,
    pagerelay: version,
    processor: `${os.availableParallelism()} × ${os.cpus()[0]?.model.trim() ?? 'unknown processor'}`,
  };
}
