/** Adds up what a client sees. @module */
import type { Ask } from '../model/patterns.ts';
import { requestInWords } from '../model/request.ts';
import type { ClientKind, ClientResult, Fault, Job } from './job.ts';
import { encodeLatency, newLatency } from './latency.ts';

const keptFaults = 10;

/** Of one job. */
export class Tally {
  readonly latency = newLatency();
  readonly #job: Job;
  readonly #statuses: Record<string, number> = {};
  readonly #faults: Fault[] = [];
  readonly #cpuBefore = process.cpuUsage();
  readonly #began = performance.now();
  #ended = this.#began;
  #requests = 0;
  #bytes = 0;
  #faultCount = 0;
  #aborted = { requests: 0, bytes: 0, askedBytes: 0 };
  #checked = { bodies: 0, bytes: 0 };
  missed = 0;

  constructor(job: Job) {
    this.#job = job;
  }

  get began(): number {
    return this.#began;
  }

  /** Whole, broken off and wrong ones. */
  get answers(): number {
    return this.#requests + this.#aborted.requests + this.#faultCount;
  }

  get failed(): boolean {
    return this.#faultCount > 0;
  }

  /** An answer that is whole. */
  whole(status: number, bytes: number): void {
    this.#requests++;
    this.#bytes += bytes;
    this.#answered(status);
  }

  /** One that was broken off on purpose. */
  aborted(status: number, bytes: number, askedBytes: number): void {
    this.#aborted = {
      requests: this.#aborted.requests + 1,
      bytes: this.#aborted.bytes + bytes,
      askedBytes: this.#aborted.askedBytes + askedBytes,
    };
    this.#answered(status);
  }

  checked(bytes: number): void {
    this.#checked = { bodies: this.#checked.bodies + 1, bytes: this.#checked.bytes + bytes };
  }

  fault(ask: Ask | undefined, { kind, detail }: Omit<Fault, 'request'>): void {
    this.#faultCount++;
    if (this.#faults.length >= keptFaults) return;
    this.#faults.push({ kind, detail, ...(ask && { request: requestInWords(this.#job, ask) }) });
  }

  result(client: ClientKind): ClientResult {
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const seconds = (this.#ended - this.#began) / 1000;
    // At a fixed rate there is a wait after the last request as after every other.
    const isPaced = this.#job.scenario.rate !== undefined && this.#requests < this.#job.most;
    return {
      client,
      method: this.#job.scenario.method ?? 'GET',
      seconds: isPaced ? Math.max(seconds, this.#job.seconds) : seconds,
      requests: this.#requests,
      bytes: this.#bytes,
      statuses: this.#statuses,
      aborted: this.#aborted,
      checked: this.#checked,
      missed: this.missed,
      latency: encodeLatency(this.latency),
      cpuSeconds: (user + system) / 1e6,
      faults: this.#faults,
      faultCount: this.#faultCount,
    };
  }

  #answered(status: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    this.#ended = performance.now();
  }
}
