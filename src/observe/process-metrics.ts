/** What Prometheus's library tells of any Node process, as far as it is cheap. @module */
import { readdirSync, statSync } from 'node:fs';
import {
  collectDefaultMetrics,
  Gauge,
  type MetricObjectWithValues,
  type MetricValueWithName,
  Registry,
} from '@prometheus-io/client';
import type { Family, Labels, Sample } from './family.ts';

/**
 * Left out: what walks over every handle (10,000 connections are 10,000 handles) or counts descriptors by listing them,
 * and the event loop (event-loop.ts).
 */
const left = /^nodejs_(active_|eventloop_)|^process_open_fds$/;

/** Milliseconds: the library's own looks at the event loop can't be left out, only kept from waking the process. */
const seldom = 3_600_000;

/** The process's own metrics. */
export class ProcessMetrics {
  readonly #registry = new Registry();

  constructor() {
    const looks = { eventLoopMonitoringPrecision: seldom, eventLoopUtilizationTimeout: seldom };
    collectDefaultMetrics({ register: this.#registry, ...looks });
    for (const { name } of this.#registry.getMetricsAsArray()) {
      if (left.test(name)) this.#registry.removeSingleMetric(name);
    }
    const registers = [this.#registry];
    const help = 'Number of open file descriptors.';
    if (openDescriptors() > 0) {
      new Gauge({
        name: 'process_open_fds',
        help,
        registers,
        collect() {
          this.set(openDescriptors());
        },
      });
    }
  }

  async families(): Promise<Family[]> {
    return (await this.#registry.getMetricsAsJSON()).map(familyOf);
  }
}

function familyOf({ name, help, type, values }: MetricObjectWithValues<MetricValueWithName<string>>): Family {
  const samples = values.map(({ metricName = name, labels, value }): Sample => {
    return { suffix: metricName.slice(name.length), labels: labels as Labels, value };
  });
  return { name, help, type, samples };
}

const descriptors = '/proc/self/fd';

// Since Linux 6.2 the size of the folder is their number; before, it is 0 and they are listed. Elsewhere there is none.
function openDescriptors(): number {
  const size = statSync(descriptors, { throwIfNoEntry: false })?.size;
  return size === 0 ? readdirSync(descriptors).length - 1 : (size ?? 0);
}
