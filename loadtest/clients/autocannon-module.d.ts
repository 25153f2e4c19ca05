/** What is used of autocannon 9, which ships no types. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  /** One connection (lib/httpClient.js). */
  export interface AutocannonClient extends EventEmitter {
    /** Ends after so many requests. */
    responseMax?: number;
    readonly reqsMade: number;
    readonly pipelinedRequests: { addBody(data: Uint8Array): void; clear(): void };
    getRequestBuffer(): Uint8Array;
    _connect(): void;
  }

  export interface AutocannonOptions {
    readonly url: string;
    readonly connections: number;
    readonly duration: number;
    readonly timeout: number;
    readonly sampleInt: number;
    readonly setupClient: (client: AutocannonClient) => void;
  }

  function autocannon(options: AutocannonOptions, done: (error: Error | null) => void): { stop(): void };
  export = autocannon;
}
