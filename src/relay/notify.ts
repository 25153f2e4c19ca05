import { errnoName, loadShim } from './shim.ts';

/**
 * Sends text to a unix socket for datagrams, which Node has none of: at a path or, behind `@`, by an abstract name. Gives
 * why that failed, if it did.
 */
export function sendDatagram(socket: string, text: string): string | undefined {
  const verdict = loadShim();
  if ('missing' in verdict) return `there is no native shim: ${verdict.missing}`;
  const result = verdict.shim.notify(socket, text);
  return result < 0 ? errnoName(result) : undefined;
}
