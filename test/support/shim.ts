import { loadShim, type Shim, type ShimOptions, type ShimRelay } from '../../src/relay/shim.ts';
import type { Scope } from './scope.ts';

/** The real shim. @throws Error that says why there is none */
export function shimOrFail(): Shim {
  const verdict = loadShim();
  if ('missing' in verdict) throw new Error(`no shim (npm run install builds it): ${verdict.missing}`);
  return verdict.shim;
}

/** A relay of it that is closed when the test ends. */
export function makeRelay(scope: Scope, options: Partial<ShimOptions> = {}): { shim: Shim; relay: ShimRelay } {
  const shim = shimOrFail();
  const relay = shim.createRelay({ lanes: 1, maxHoldSeconds: 10, maxBrokenOff: 4, ...options }, () => {});
  scope.after(() => shim.closeRelay(relay));
  return { shim, relay };
}
