/** A server as the harness sees it, whoever started it. @module */
import type { ReferenceSource } from '../clients/job.ts';
import type { Scraper } from '../scrape/scraper.ts';
import type { Writer } from '../writer/writer.ts';

/** Under load in turn with others. */
export type Contender = {
  readonly name: string;
  /** What it is, with versions: one phrase. */
  readonly about: string;
  /** `http://127.0.0.1:8080`. */
  readonly origin: string;
  readonly path: string;
  readonly regionBytes: number;
  /** Undefined where it runs elsewhere. */
  readonly pid: number | undefined;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly reference: ReferenceSource;
  /** Undefined where it has no metrics of ours. */
  readonly scraper: Scraper | undefined;
  readonly writer: Writer | undefined;
};
