/** Says at start how each backing is sent, and why. @module */
import type { EngineOfSources } from '../relay/engine.ts';

type Log = { info(details: object, message: string): void };

/** Writes one line per backing. */
export function logEngines(log: Log, engines: readonly EngineOfSources[]): void {
  for (const { backing, engine, copyFree, because, sources } of engines) {
    log.info({ backing, engine, copyFree, because, sources }, `${backing} is sent by ${engine}: ${because}`);
  }
}
