/** A real Prometheus that scrapes services of tests. @module */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { program, startTool } from './client-tools.ts';
import { until } from './poll.ts';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';

/** The programs; one Debian package has both. */
export const prometheus = program('prometheus', 'prometheus');
export const promtool = program('promtool', 'prometheus');

/** One that scrapes every second. */
export type Prometheus = {
  /** The values of an instant query, each with its labels. */
  query(promql: string): Promise<readonly Result[]>;
  /** The value of one that has exactly one result; undefined where it has none. */
  value(promql: string): Promise<number | undefined>;
  /** The names of the alerts that fire now. */
  firing(): Promise<readonly string[]>;
  /** What it was told of a metric's unit, which only OpenMetrics tells. */
  unit(metric: string): Promise<string | undefined>;
};

export type Result = { readonly labels: Readonly<Record<string, string>>; readonly value: number };

type Answer = { readonly status: string; readonly error?: string; readonly data: unknown };

/**
 * Starts a Prometheus that scrapes a service once a second, and waits until it has done so.
 *
 * @param target host and port
 * @param rules what its rules are
 */
export async function startPrometheus(scope: Scope, target: string, rules = 'groups: []\n'): Promise<Prometheus> {
  const folder = makeFolder(scope, 'ext4');
  writeFileSync(join(folder, 'rules.yml'), rules);
  writeFileSync(join(folder, 'prometheus.yml'), configuration(target));
  const child = startTool(scope, prometheus, [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
    '--log.level=info',
  ]);
  const listens = () => /msg="Listening on" address=127\.0\.0\.1:(\d+)/.exec(child.stderr())?.[1];
  await until(() => listens() !== undefined, 'Prometheus listens', child.stderr);
  const port = Number(listens());
  const ask = async (path: string): Promise<unknown> => {
    const answer = (await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json()) as Answer;
    assert.equal(answer.status, 'success', answer.error);
    return answer.data;
  };
  const query = async (promql: string): Promise<readonly Result[]> => {
    type Vector = { readonly result: readonly { metric: Record<string, string>; value: [number, string] }[] };
    const { result } = (await ask(`query?query=${encodeURIComponent(promql)}`)) as Vector;
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  };
  const value = async (promql: string): Promise<number | undefined> => {
    const results = await query(promql);
    assert.ok(results.length <= 1, `${promql} has ${results.length} results`);
    return results[0]?.value;
  };
  const scrapes = () => value('up').catch(() => undefined);
  await until(async () => (await scrapes()) === 1, 'Prometheus scrapes', child.stderr);
  const unit = async (metric: string) => {
    const known = (await ask(`metadata?metric=${metric}`)) as Record<string, readonly { unit: string }[]>;
    return known[metric]?.[0]?.unit;
  };
  return { query, value, unit, firing: async () => (await query('ALERTS{alertstate="firing"}')).map(nameOfAlert) };
}

function nameOfAlert({ labels }: Result): string {
  return labels.alertname ?? '';
}

function configuration(target: string): string {
  return `
global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }
rule_files: [rules.yml]
scrape_configs:
  - job_name: pagerelay
    static_configs: [{ targets: ["${target}"] }]
`;
}

/** The rules of deploy/prometheus, with an alert of stuck holds that waits seconds, not minutes. */
export function impatientRules(): string {
  const text = readFileSync(new URL('../../deploy/prometheus/rules.yml', import.meta.url), 'utf8');
  const patient = /(alert: PagerelayStuckHolds\n\s+expr: pagerelay_longest_stall_seconds) > 60\n(\s+)for: 1m\n/;
  assert.match(text, patient);
  return text.replace(patient, '$1 > 2\n$2for: 1s\n');
}
