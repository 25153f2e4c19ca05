/**
 * `closes-while-reading.ts PATH`: closes a relay from within a call on it, by a getter among the extents. Prints
 * `refused`.
 *
 * @module
 */
import type { Generation } from '../../src/relay/relay.ts';
import { makeRelay } from './shim.ts';

const scope = { after() {} };
const path = process.argv[2] ?? '';

for (let again = 0; again < 50; again++) {
  const { shim, relay } = makeRelay(scope);
  const { id } = shim.open(relay, 0, path, 'generation', Number.MAX_SAFE_INTEGER) as Generation;
  const extents: number[] = [];
  Object.defineProperty(extents, 0, {
    get() {
      shim.closeRelay(relay);
      return 0;
    },
  });
  extents[1] = 100;
  try {
    const result = shim.hold(relay, id, 0, 0, 'copy', 0, extents);
    if (result >= 0) throw new Error(`held ${result} in a closed relay`);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
console.log('refused');
