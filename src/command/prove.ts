import { NoBacking } from '../prove/offer.ts';
import { type ProveOptions, prove as proveOnMachine } from '../prove/prove.ts';
import type { Proof } from '../prove/result.ts';
import { describeProof } from '../prove/table.ts';
import { loadShim } from '../relay/shim.ts';
import { UsageError } from './options.ts';

/** The shim is missing, without which every byte is copied. */
class NoShim extends Error {
  override readonly name = 'NoShim';
  readonly code = 'ENOSYS';
}

/** A proof to be printed, and whether every claim of the configuration was met. */
export type Told = { readonly text: string; readonly isMet: boolean };

/** Runs the proof. @throws UsageError for a path that is no backing; Error when it could not be run */
export async function prove(options: ProveOptions, json: boolean): Promise<Told> {
  const proof = await run(options);
  const text = json ? `${JSON.stringify(proof, undefined, 2)}\n` : describeProof(proof);
  return { text, isMet: proof.claims.every(({ met }) => met) };
}

async function run(options: ProveOptions): Promise<Proof> {
  const verdict = loadShim();
  if ('missing' in verdict) throw new NoShim(`there is no native shim, so every byte is copied: ${verdict.missing}`);
  try {
    return await proveOnMachine(verdict.shim, options);
  } catch (error) {
    throw error instanceof NoBacking ? new UsageError(`--path: ${error.message}`, { cause: error }) : error;
  }
}
