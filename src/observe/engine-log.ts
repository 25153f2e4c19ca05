/** Says at start how each backing is sent, and why. @module */
import type { EngineOfSources } from '../relay/engine.ts';
import type { MeansOfBacking } from '../relay/means.ts';
import { describeRefusal, type RefusedCalls, refusalsOf } from '../relay/refused.ts';

type Log = Record<'info' | 'warn', (details: object, message: string) => void>;

/** Writes one line per backing. */
export function logEngines(log: Log, engines: readonly EngineOfSources[]): void {
  for (const { backing, engine, copyFree, because, sources } of engines) {
    log.info({ backing, engine, copyFree, because, sources }, `${backing} is sent by ${engine}: ${because}`);
  }
}

/** Writes how a tree is overwritten in place; nothing of one that can't be. */
export function logMeans(log: Log, found: MeansOfBacking | undefined): void {
  if (!found) return;
  const { backing, means, because } = found;
  log.info({ backing, means, because }, `${backing} is overwritten in place by the means '${means}': ${because}`);
}

/** Writes one warning of all calls that are refused; none where nothing is. */
export function logRefused(log: Log, refused: RefusedCalls): void {
  const refusals = refusalsOf(refused);
  if (refusals.length === 0) return;
  log.warn({ refused }, `system calls are refused here: ${refusals.map(describeRefusal).join('. ')}`);
}
