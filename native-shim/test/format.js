// Checks the layout of the C files (with --write: puts it right). Without clang-format there is nothing to check with:
// said aloud, and an error only where the machine is meant to have it (CI).
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function sources(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return entry.name === 'build' ? [] : sources(path);
    return /\.[ch]$/.test(entry.name) ? [path] : [];
  });
}

const folders = [root, join(dirname(root), 'loadtest'), join(dirname(root), 'test')];
const files = folders.flatMap(sources);
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror'];
const result = spawnSync('clang-format', [...mode, '--style=file', ...files], { stdio: 'inherit' });

if (result.error) {
  console.warn(
    `*** clang-format could not be run (${result.error.code}): the layout of ${files.length} C files was NOT checked`,
  );
  process.exitCode = process.env.CI ? 1 : 0;
} else if (result.status !== 0) {
  console.error(`the layout of C files in ${relative(process.cwd(), root) || '.'} is not right: npm run format`);
  process.exitCode = 1;
}
