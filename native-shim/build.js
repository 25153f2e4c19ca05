// Compiles the shim when the package is installed, and in a clone the one for tests too (testing/). Nothing here may fail
// the install: without the shim the portable engine serves the same bytes, and says so when the service starts.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const directory = dirname(fileURLToPath(import.meta.url));
const nodeGyp = process.env.npm_config_node_gyp;

function withoutShim(why) {
  console.warn(`pagerelay: the native shim was not built (${why}).`);
  console.warn('pagerelay: the portable engine will serve; it copies. `npm rebuild` tries again.');
}

if (process.platform !== 'linux') {
  withoutShim(`it needs Linux, this is ${process.platform}`);
} else if (!nodeGyp) {
  withoutShim('npm did not say where its node-gyp is; run `npm install`');
} else {
  const gyp = spawnSync(process.execPath, [nodeGyp, 'rebuild', '--jobs=max', `--directory=${directory}`], {
    encoding: 'utf8',
    stdio: process.env.CI ? 'inherit' : 'pipe',
  });
  if (gyp.status !== 0) {
    if (gyp.stderr) console.warn(gyp.stderr);
    withoutShim('node-gyp failed; a C compiler, make and python3 are needed');
  }
}
