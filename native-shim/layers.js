// Writes how many lines each layer of the native shim has into the table of docs/architecture.md.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const document = join(import.meta.dirname, '..', 'docs', 'architecture.md');

function linesIn(folder) {
  const files = globSync(`${folder}/*.[ch]`, { cwd: import.meta.dirname });
  return files.reduce(
    (sum, file) => sum + readFileSync(join(import.meta.dirname, file), 'utf8').split('\n').length - 1,
    0,
  );
}

const text = readFileSync(document, 'utf8').replaceAll(
  /^(\| `([\w/]+)\/` \|.*\| )[\d,]+ \|$/gm,
  (_, row, folder) => `${row}${linesIn(folder).toLocaleString('en')} |`,
);
writeFileSync(document, text);
