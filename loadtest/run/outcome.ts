/** What a run has given. @module */
import type { Fault } from '../clients/job.ts';
import type { ScrapePoint } from '../scrape/scraper.ts';
import type { Missing } from '../servers/all.ts';
import type { Contender } from './contender.ts';
import type { Trial } from './trial.ts';

/** A fault, and where it showed. */
export type PlacedFault = Fault & { readonly server: string; readonly scenario: string; readonly round: number };

/** What a run has given, also when it was cut short. */
export type Outcome = {
  readonly servers: readonly { readonly name: string; readonly about: string }[];
  readonly missing: readonly Missing[];
  readonly trials: readonly Trial[];
  readonly faults: readonly PlacedFault[];
  /** By server: what it told of itself at each scrape. */
  readonly series: Readonly<Record<string, readonly ScrapePoint[]>>;
  readonly end: 'complete' | 'faults' | 'interrupted' | 'out of time';
};

/** The servers of a run, and what each told of itself. */
export function seriesOf(contenders: readonly Contender[]): Pick<Outcome, 'servers' | 'series'> {
  const all = [...Map.groupBy(contenders, ({ name }) => name)].map(([name, own]) => {
    const points = [...new Set(own.flatMap(({ scraper }) => scraper?.points ?? []))].sort((a, b) => a.at - b.at);
    return { name, points, about: `${own[0]?.about}${enginesIn(points)}` };
  });
  return {
    servers: all.map(({ name, about }) => ({ name, about })),
    series: Object.fromEntries(all.flatMap(({ name, points }) => (points.length > 0 ? [[name, points]] : []))),
  };
}

// Not what it means to use: what has carried bytes.
function enginesIn(points: readonly ScrapePoint[]): string {
  const carried = ({ sentBytes }: ScrapePoint) =>
    Object.keys(sentBytes).filter((engine) => (sentBytes[engine] ?? 0) > 0);
  const engines = new Set(points.flatMap(carried));
  return engines.size > 0 ? `; sent by ${[...engines].join(', ')}` : '';
}

/** One entry for all scenarios that a server is left out of for the same reason, and for all servers alike. */
export function grouped(missing: readonly Missing[]): Missing[] {
  const parts = missing.map(({ name, why }) => {
    const [who = name, where = ''] = name.split(' in ');
    return { who, where, why };
  });
  const named = (each: readonly string[]) => each.join(', ');
  const byServer = [...Map.groupBy(parts, ({ who, why }) => `${who}\n${why}`).values()].map((group) => {
    return { who: '', why: '', ...group[0], where: named(group.map(({ where }) => where)) };
  });
  return [...Map.groupBy(byServer, ({ where, why }) => `${where}\n${why}`)].map(([key, group]) => {
    const [where = '', why = ''] = key.split('\n');
    const who = named(group.map((each) => each.who));
    return { name: where === '' ? who : `${who} in ${where}`, why };
  });
}
