/** Whether a server is still there. @module */
import { connect } from 'node:net';
import type { Fault } from '../clients/job.ts';
import type { Contender } from './contender.ts';

const waitMilliseconds = 2000;

/** A fault when nobody listens where the server was. */
export async function goneFault({ name, origin }: Pick<Contender, 'name' | 'origin'>): Promise<Fault[]> {
  const { hostname, port } = new URL(origin);
  const why = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) });
    socket.setTimeout(waitMilliseconds, () => settle(`no connection for ${waitMilliseconds} ms`));
    socket.once('connect', () => settle(undefined)).once('error', (error) => settle(error.message));
    const settle = (result: string | undefined) => {
      socket.destroy();
      resolve(result);
    };
  });
  if (why === undefined) return [];
  return [
    { kind: 'server-gone', detail: `${name} died during the run: nobody listens on ${origin} any more (${why})` },
  ];
}
