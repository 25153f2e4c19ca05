/** One request by undici, whose body is read as it comes. @module */
import { type Client, errors } from 'undici';
import type { Ask } from '../model/patterns.ts';
import { expectedOf, fieldsOf, pathOf, wrongHead } from '../model/request.ts';
import type { Fault, Job } from './job.ts';

/** What came back. */
export type Answer = {
  readonly status: number;
  readonly bytes: number;
  readonly etag: string | undefined;
  readonly contentType: string;
  /** Where it was to be kept. */
  readonly body: Buffer | undefined;
  /** Broken off on purpose. */
  readonly isAborted: boolean;
  readonly fault: Omit<Fault, 'request'> | undefined;
};

/** Which request it is: its number, as no other has it, and whether its connection ends with it. */
export type Turn = { readonly number: number; readonly isLast: boolean };

/** Asks once. Never rejects: what fails is a fault. */
export function exchange(
  client: Client,
  job: Job,
  ask: Ask,
  { number, isLast }: Turn,
  keepBody: boolean,
): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const began = performance.now();
  const chunks: Buffer[] = [];
  let answer: Omit<Answer, 'body' | 'bytes'> | undefined;
  let bytes = 0;
  let isSettled = false;
  const settle = (more: Partial<Answer>) => {
    if (isSettled) return;
    isSettled = true;
    const empty = { status: 0, etag: undefined, contentType: '', isAborted: false, fault: undefined };
    resolve({ ...empty, ...answer, bytes, body: keepBody ? Buffer.concat(chunks) : undefined, ...more });
  };
  const expected = expectedOf(job, ask).bodyBytes;
  const { method = 'GET' } = job.scenario;
  client.dispatch(
    { method, path: pathOf(job, ask.region), headers: fieldsOf(job, ask, number), reset: isLast },
    {
      onRequestStart() {},
      onResponseStart(controller, status, fields) {
        const field = (name: string) => [fields[name]].flat()[0];
        answer = {
          status,
          etag: field('etag'),
          contentType: field('content-type') ?? '',
          isAborted: false,
          fault: wrongHead(job, ask, { status, field }),
        };
        if (answer.fault) controller.abort(new Error('a wrong head'));
      },
      onResponseData(controller, chunk) {
        bytes += chunk.length;
        if (keepBody) chunks.push(chunk);
        if (ask.abortAfter !== undefined && bytes >= ask.abortAfter) {
          settle({ isAborted: true });
          controller.abort(new Error('enough'));
          return;
        }
        if (ask.bytesPerSecond === undefined) return;
        const ahead = (bytes / ask.bytesPerSecond) * 1000 - (performance.now() - began);
        if (ahead <= 1) return;
        controller.pause();
        setTimeout(() => controller.resume(), ahead);
      },
      onResponseEnd() {
        const short = expected !== undefined && bytes !== expected;
        settle(short ? { fault: { kind: 'short-body', detail: `a body of ${bytes} bytes, not ${expected}` } } : {});
      },
      onResponseError(_controller, error) {
        settle({ fault: answer?.fault ?? faultOf(error, answer !== undefined, bytes) });
      },
    },
  );
  return promise;
}

function faultOf(error: Error, hasHead: boolean, bytes: number): Omit<Fault, 'request'> {
  const code = (error as NodeJS.ErrnoException).code;
  const why = code !== undefined && !error.message.includes(code) ? `${error.message} (${code})` : error.message;
  if (!hasHead) return { kind: 'no-answer', detail: why || String(error) };
  if (error instanceof errors.BodyTimeoutError) return { kind: 'no-answer', detail: `after ${bytes} bytes: ${why}` };
  return { kind: 'short-body', detail: `the connection ended after ${bytes} bytes of the body: ${why}` };
}

/** Bytes that were asked for. */
export function lengthOf({ spans }: Ask): number {
  return spans.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}
