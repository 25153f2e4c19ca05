/** Adds up what a client sees. @module */
import type { Ask } from '../model/patterns.ts';
import { requestInWords } from '../model/request.ts';
import type { ClientKind, Fault, Job } from './job.ts';
import { encodeLatency, newLatency } from './latency.ts';

const keptFaults = 10;

/** What came of a job. */
export type ClientResult = ReturnType<Tally['result']>;

/** Of one job. */
export class Tally {
  readonly latency = newLatency();
  readonly began = performance.now();
  readonly #job: Job;
  readonly #cpuBefore = process.cpuUsage();
  /** Answered whole, and bytes of their bodies. */
  readonly #counts = { requests: 0, bytes: 0, faultCount: 0 };
  readonly #statuses: Record<string, number> = {};
  /** Broken off on purpose, after their head: how many, bytes of their bodies that came, bytes that were asked for. */
  readonly #aborted = { requests: 0, bytes: 0, askedBytes: 0 };
  /** Bodies that were compared, and right. */
  readonly #checked = { bodies: 0, bytes: 0 };
  /** The first of them. */
  readonly #faults: Fault[] = [];
  #ended = this.began;

  constructor(job: Job) {
    this.#job = job;
  }

  get failed(): boolean {
    return this.#counts.faultCount > 0;
  }

  /** An answer that is whole. */
  whole(status: number, bytes: number): void {
    this.#counts.requests++;
    this.#counts.bytes += bytes;
    this.#answered(status);
  }

  /** One that was broken off on purpose. */
  aborted(status: number, bytes: number, askedBytes: number): void {
    this.#aborted.requests++;
    this.#aborted.bytes += bytes;
    this.#aborted.askedBytes += askedBytes;
    this.#answered(status);
  }

  checked(bytes: number): void {
    this.#checked.bodies++;
    this.#checked.bytes += bytes;
  }

  fault(ask: Ask | undefined, { kind, detail }: Omit<Fault, 'request'>): void {
    if (this.#counts.faultCount++ >= keptFaults) return;
    this.#faults.push({ kind, detail, ...(ask && { request: requestInWords(this.#job, ask) }) });
  }

  /** @param missed requests of a fixed rate that were due and could not be sent */
  result(client: ClientKind, missed = 0) {
    const { scenario, most, seconds: wanted } = this.#job;
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const seconds = (this.#ended - this.began) / 1000;
    // At a fixed rate there is a wait after the last request as after every other.
    const isPaced = scenario.rate !== undefined && this.#counts.requests < most;
    return {
      ...{ client, method: scenario.method ?? ('GET' as const), ...this.#counts, missed },
      ...{ statuses: this.#statuses, aborted: this.#aborted, checked: this.#checked, faults: this.#faults },
      /** From the first request to the last answer. */
      seconds: isPaced ? Math.max(seconds, wanted) : seconds,
      /** To the last byte (clients/latency.ts). */
      latency: encodeLatency(this.latency),
      /** Of the client's process, user and system. */
      cpuSeconds: (user + system) / 1e6,
    };
  }

  #answered(status: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    this.#ended = performance.now();
  }
}
