/** Files that people do not mean to publish, and that stand in a tree all the same. @module */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A repository has its history and often credentials, the others are nothing but secrets. */
const secrets = ['.git', '.env', '.htpasswd'] as const;

/** Which of them are at the top of a tree. */
export function secretsIn(root: string): string[] {
  return secrets.filter((name) => existsSync(join(root, name)));
}
