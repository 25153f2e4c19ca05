/** Adds up what a client sees. @module */
import type { Ask } from '../model/patterns.ts';
import { requestInWords } from '../model/request.ts';
import type { ClientKind, ClientResult, Fault, Job } from './job.ts';
import { encodeLatency, newLatency } from './latency.ts';

const keptFaults = 10;

/** Of one job. */
export class Tally {
  readonly latency = newLatency();
  readonly began = performance.now();
  readonly #job: Job;
  readonly #cpuBefore = process.cpuUsage();
  readonly #counts = { requests: 0, bytes: 0, faultCount: 0 };
  readonly #statuses: Record<string, number> = {};
  readonly #aborted = { requests: 0, bytes: 0, askedBytes: 0 };
  readonly #checked = { bodies: 0, bytes: 0 };
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

  result(client: ClientKind, missed = 0): ClientResult {
    const { scenario, most, seconds: wanted } = this.#job;
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const seconds = (this.#ended - this.began) / 1000;
    // At a fixed rate there is a wait after the last request as after every other.
    const isPaced = scenario.rate !== undefined && this.#counts.requests < most;
    return {
      ...{ client, method: scenario.method ?? 'GET', ...this.#counts, missed },
      ...{ statuses: this.#statuses, aborted: this.#aborted, checked: this.#checked, faults: this.#faults },
      seconds: isPaced ? Math.max(seconds, wanted) : seconds,
      latency: encodeLatency(this.latency),
      cpuSeconds: (user + system) / 1e6,
    };
  }

  #answered(status: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    this.#ended = performance.now();
  }
}
