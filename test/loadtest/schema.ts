/** What results.json is documented to be. @module */
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';

const schema = new URL('../../loadtest/report/results.schema.json', import.meta.url);

/** What is wrong with results; nothing when they are as documented. */
export function unlikeSchema(results: unknown): unknown[] {
  const ajv = new Ajv({ allErrors: true, strictRequired: false, allowUnionTypes: true });
  (addFormats as unknown as (ajv: Ajv) => void)(ajv);
  const check = ajv.compile(JSON.parse(readFileSync(schema, 'utf8')));
  check(results);
  return check.errors ?? [];
}
