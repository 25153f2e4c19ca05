/** Taking over many files that lanes have opened by one call of the shim. @module */
import { identityIn } from './looks.ts';
import type { Backing, Generation, Opened } from './relay.ts';
import type { Verdicts } from './witness.ts';

/** So many are taken by one call at most. */
const mostTaken = 64;

/** What was seen of the kind of a file, which was opened by this path. */
type SeenOf = (file: Pick<Generation, 'device' | 'backing'>, path: string) => Verdicts;

/** As the shim has it (native-shim/binding/responder.c). */
const textsOfOne = 3;
const nodesFrom = 15;
const numbersOfOne = nodesFrom + 2 * 16;

// enum pr_backing
const backings: readonly Backing[] = ['fsdax', 'devdax', 'hugetlb', 'tmpfs', 'memfd', 'pagecache'];

/** Where the shim writes what it tells of files: one for all calls, each of which is over before the next one. */
export class OpenedFiles {
  readonly numbers = new Float64Array(mostTaken * numbersOfOne);

  /** The files of which a call has told these texts, and numbers. */
  take(texts: readonly string[], seenOf: SeenOf): Opened[] {
    const opened: Opened[] = [];
    for (let at = 0, text = 0; text < texts.length; at += numbersOfOne, text += textsOfOne) {
      const [path = '', line = ''] = [texts[text], texts[text + 2]];
      opened.push({
        content: {
          generation: this.#generationAt(at, path, seenOf),
          epoch: this.numbers[at + 12] ?? 0,
          version: this.numbers[at + 13] ?? 0,
        },
        tree: this.numbers[at + 11] ?? 0,
        path,
        etag: texts[text + 1] ?? '',
        contentType: line.slice(line.indexOf(' ') + 1, -'\r\n'.length),
      });
    }
    return opened;
  }

  #generationAt(at: number, path: string, seenOf: SeenOf): Generation {
    const { numbers } = this;
    const [device = 0, backing = 'pagecache'] = [numbers[at], backings[numbers[at + 8] ?? -1]];
    return {
      ...identityIn(numbers, at),
      id: numbers[at + 7] ?? 0,
      backing,
      pageSize: numbers[at + 9] ?? 0,
      seen: seenOf({ device, backing }, path),
      node: numbers[at + 10] ?? -1,
      pagesByNode: this.#nodesAt(at + nodesFrom, numbers[at + 14] ?? 0),
    };
  }

  #nodesAt(at: number, count: number): Record<string, number> {
    const pages: Record<string, number> = {};
    for (let place = at; place < at + 2 * count; place += 2) {
      pages[String(this.numbers[place])] = this.numbers[place + 1] ?? 0;
    }
    return pages;
  }
}
