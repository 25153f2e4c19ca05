/** One request by undici, whose body is read as it comes. @module */
import { type Client, errors } from 'undici';
import type { Ask } from '../model/patterns.ts';
import { expectedOf, fieldsOf, pathOf, wrongHead } from '../model/request.ts';
import type { Fault, Job } from './job.ts';

/** What came back. */
export type Answer = ReturnType<typeof nothingYet>;

function nothingYet() {
  return {
    status: 0,
    etag: undefined as string | undefined,
    contentType: '',
    bytes: 0,
    /** The body, where it was to be kept. */
    chunks: [] as Buffer[],
    /** Broken off on purpose. */
    isAborted: false,
    fault: undefined as Omit<Fault, 'request'> | undefined,
  };
}

/** Which request it is: its number, as no other has it, and whether its connection ends with it. */
export type Turn = { readonly number: number; readonly isLast: boolean };

/** Asks once. Never rejects: what fails is a fault. By `dispatch`: a stream of each body takes half as much CPU again. */
export function exchange(client: Client, job: Job, ask: Ask, turn: Turn, keepsBody: boolean): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const began = performance.now();
  const answer = nothingYet();
  // The first call counts: what a connection reports after it was broken off on purpose is no fault.
  const settle = (end: Partial<Answer> = {}) => resolve({ ...answer, ...end });
  const { method = 'GET' } = job.scenario;
  const { bodyBytes } = expectedOf(job, ask);
  client.dispatch(
    { method, path: pathOf(job, ask.region), headers: fieldsOf(job, ask, turn.number), reset: turn.isLast },
    {
      onRequestStart() {},
      onResponseStart(controller, status, fields) {
        const field = (name: string) => [fields[name]].flat()[0];
        Object.assign(answer, { status, etag: field('etag'), contentType: field('content-type') ?? '' });
        const fault = wrongHead(job, ask, { status, field });
        if (!fault) return;
        settle({ fault });
        controller.abort(new Error('a wrong head'));
      },
      onResponseData(controller, chunk) {
        answer.bytes += chunk.length;
        if (keepsBody) answer.chunks.push(chunk);
        if (ask.abortAfter !== undefined && answer.bytes >= ask.abortAfter) {
          settle({ isAborted: true });
          controller.abort(new Error('enough'));
          return;
        }
        if (ask.bytesPerSecond === undefined) return;
        const ahead = (answer.bytes / ask.bytesPerSecond) * 1000 - (performance.now() - began);
        if (ahead <= 1) return;
        controller.pause();
        setTimeout(() => controller.resume(), ahead);
      },
      onResponseEnd() {
        const detail = `a body of ${answer.bytes} bytes, not ${bodyBytes}`;
        settle(answer.bytes === (bodyBytes ?? answer.bytes) ? {} : { fault: { kind: 'short-body', detail } });
      },
      onResponseError(_controller, error) {
        settle({ fault: faultOf(error, answer) });
      },
    },
  );
  return promise;
}

function faultOf(error: Error, { status, bytes }: Answer): Omit<Fault, 'request'> {
  const code = (error as NodeJS.ErrnoException).code;
  const why = code !== undefined && !error.message.includes(code) ? `${error.message} (${code})` : error.message;
  if (status === 0) return { kind: 'no-answer', detail: why || String(error) };
  if (error instanceof errors.BodyTimeoutError) return { kind: 'no-answer', detail: `after ${bytes} bytes: ${why}` };
  return { kind: 'short-body', detail: `the connection ended after ${bytes} bytes of the body: ${why}` };
}
