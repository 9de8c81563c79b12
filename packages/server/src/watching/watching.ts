import { monitorEventLoopDelay } from 'node:perf_hooks';
import { keyStates } from '@trialkeep/contract';
import type { FactsCache } from '../platform/facts.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Ledger } from '../audit/index.ts';
import { countKeys } from '../inventory/index.ts';
import { steadyMs } from '../platform/clock.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import type { Admission } from '../platform/http.ts';
import type { Metrics, Sample } from '../platform/metrics/metrics.ts';
import { isLoopback, listenForMetrics, parseMetricsPlace } from '../platform/metrics/listener.ts';
import type { TraceSettings } from '../platform/tracing/settings.ts';
import type { Tracing } from '../platform/tracing/tracing.ts';
import { unreadyReasons } from '../platform/readiness.ts';
import type { Readiness } from '../platform/readiness.ts';
import type { RootOfTrust } from '../roots/index.ts';
import type { Witnessing } from '../witnessing/index.ts';
import * as store from './store.ts';

/** What operators watch of a server. */
export interface Watched {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly witnessing: Pick<Witnessing, 'summary'>;
  readonly gate: Admission & { readonly changes: number };
  readonly root: RootOfTrust;
  readonly readiness: Readiness;
  readonly clock: Clock;
  readonly notes: {
    info(details: object, message: string): void;
    warn(details: object, message: string): void;
  };
}

/** A server whose requests and looks at other nodes are counted, where metrics are wanted. */
export interface Watching {
  readonly gate: Admission;
  poll(look: () => Promise<void>): Promise<void>;
  /** Where the metrics are; undefined where nobody wants them. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** What is asked of a histogram of the event loop's delay, ns. */
type LoopDelay = Pick<ReturnType<typeof monitorEventLoopDelay>, 'percentile' | 'max' | 'reset'>;

/** How long counts that the database has to make are good for. */
const ledgerFreshMs = 10_000;
const keysFreshMs = 60_000;
/** How often the root of trust is asked whether it answers, while somebody scrapes. */
const rootFreshMs = 60_000;
/** After so long without an answer it counts as away; the answer is still waited for, so that questions do not pile up. */
const rootDeadlineMs = 30_000;

/**
 * Begins to count and to give metrics at the address, where there is one; without one nothing is loaded and nothing is counted.
 *
 * @param listen what TRIALKEEP_METRICS_LISTEN says
 * @param traces where requests are traced to; not at all where nobody wants that
 * @throws StartupError `metrics.listen_invalid`, `server.port_in_use`, `server.address_refused`
 */
export async function beginWatching(
  watched: Watched,
  listen: string | undefined,
  traces?: TraceSettings,
): Promise<Watching> {
  if (traces === undefined) return beginCounting(watched, listen, undefined);
  const { Tracing } = await import('../platform/tracing/tracing.ts');
  const tracing = new Tracing(traces, watched.notes);
  const counting = await beginCounting(watched, listen, tracing);
  watched.notes.info({ ...traces }, 'Requests are traced.');
  return {
    ...counting,
    gate: tracing.watch(counting.gate),
    close: async () => {
      await tracing.close();
      await counting.close();
    },
  };
}

async function beginCounting(
  watched: Watched,
  listen: string | undefined,
  tracing: Tracing | undefined,
): Promise<Watching> {
  const { gate, notes } = watched;
  if (listen === undefined || listen === '') {
    return { gate, poll: (look) => look(), url: undefined, close: async () => undefined };
  }
  const place = parseMetricsPlace(listen);
  const { Metrics } = await import('../platform/metrics/metrics.ts');
  const metrics = new Metrics();
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const polls = new Polls(metrics);
  addSources(metrics, watched, polls, delay);
  metrics.addSource(() => tracing?.samples() ?? []);
  const listener = await listenForMetrics(place, metrics);
  if (!isLoopback(place.host)) {
    notes.warn({ url: listener.url }, 'Whoever reaches this address reads the metrics, in clear.');
  }
  notes.info({ url: listener.url }, 'Metrics are given.');
  return {
    gate: metrics.watch(gate),
    poll: (look) => polls.run(look),
    url: listener.url,
    close: async () => {
      delay.disable();
      await listener.close();
    },
  };
}

/** Gives the metrics everything that is not counted as requests come. */
export function addSources(
  metrics: Metrics,
  watched: Watched,
  polls: Pick<Polls, 'age_ms'>,
  delay: LoopDelay,
): void {
  const { database, clock, ledger } = watched;
  ledger.appender.observe((entries, duration_ms) => {
    metrics.observe('trialkeep_append_entries', entries);
    metrics.observe('trialkeep_append_seconds', duration_ms / 1000);
  });
  const root = new RootWatch(watched.root);
  metrics.addSource(() => processSamples(delay));
  metrics.addSource(() => nodeSamples(watched, polls));
  metrics.addSource(() => root.samples());
  metrics.addSource(() => readinessSamples(watched.readiness));
  metrics.addSource(kept(ledgerFreshMs, () => ledgerSamples(database, clock)));
  metrics.addSource(kept(ledgerFreshMs, () => jobSamples(database, clock)));
  metrics.addSource(kept(keysFreshMs, () => keySamples(database, clock)));
}

/** Looks at other nodes, counted. */
export class Polls {
  readonly #metrics: Metrics;
  #succeeded_ms = steadyMs();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  get age_ms(): number {
    return steadyMs() - this.#succeeded_ms;
  }

  async run(look: () => Promise<void>): Promise<void> {
    let outcome = 'failed';
    try {
      await look();
      this.#succeeded_ms = steadyMs();
      outcome = 'success';
    } finally {
      this.#metrics.count('trialkeep_polls_total', { outcome });
    }
  }
}

/** Asks the root of trust beside the scrapes, which do not wait for it: a module can take seconds to answer. */
export class RootWatch {
  readonly #root: Pick<RootOfTrust, 'check'>;
  readonly #deadline_ms: number;
  #asked_ms = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  #last: { readonly at_ms: number; readonly isUp: boolean } | undefined;

  constructor(root: Pick<RootOfTrust, 'check'>, deadline_ms = rootDeadlineMs) {
    this.#root = root;
    this.#deadline_ms = deadline_ms;
  }

  samples(): Sample[] {
    const now_ms = steadyMs();
    if (!this.#isAsking && now_ms - this.#asked_ms >= rootFreshMs) {
      this.#asked_ms = now_ms;
      void this.#ask();
    }
    if (this.#last === undefined) return [];
    return [
      { name: 'trialkeep_root_up', value: this.#last.isUp ? 1 : 0 },
      { name: 'trialkeep_root_check_age_seconds', value: (now_ms - this.#last.at_ms) / 1000 },
    ];
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    const late = setTimeout(() => this.#note(false), this.#deadline_ms);
    late.unref();
    const isUp = await this.#root.check().then(
      () => true,
      () => false,
    );
    clearTimeout(late);
    this.#note(isUp);
    this.#isAsking = false;
  }

  #note(isUp: boolean): void {
    this.#last = { at_ms: steadyMs(), isUp };
  }
}

/** What the database had to count, for a while. Where it does not answer nothing new is told, and the rest is told all the same. */
function kept(freshFor_ms: number, count: () => Promise<Sample[]>): () => Promise<Sample[]> {
  let at_ms = Number.NEGATIVE_INFINITY;
  return async () => {
    if (steadyMs() - at_ms < freshFor_ms) return [];
    at_ms = steadyMs();
    return count().catch(() => []);
  };
}

function processSamples(delay: LoopDelay): Sample[] {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const memory = { resident: rss, heap: heapUsed, external };
  const name = 'trialkeep_event_loop_delay_seconds';
  const delays = { '0.5': delay.percentile(50), '0.99': delay.percentile(99), '1': delay.max };
  // Before the first timer there is no delay that could be told.
  const samples = Object.entries(delays).flatMap(([quantile, nanoseconds]): Sample[] =>
    nanoseconds < 1e15 ? [{ name, value: nanoseconds / 1e9, labels: { quantile } }] : [],
  );
  delay.reset();
  return [
    ...samples,
    ...Object.entries(memory).map(([kind, value]): Sample => ({
      name: 'trialkeep_process_memory_bytes',
      value,
      labels: { kind },
    })),
    { name: 'trialkeep_process_cpu_seconds_total', value: (user + system) / 1e6 },
    { name: 'trialkeep_process_start_time_seconds', value: performance.timeOrigin / 1000 },
  ];
}

function nodeSamples(watched: Watched, polls: Pick<Polls, 'age_ms'>): Sample[] {
  const { facts, gate, hierarchy, ledger, witnessing } = watched;
  const { withPolicy, required, failing, withheld } = witnessing.summary();
  const ledgers = { policy: withPolicy, required, failing, withheld };
  return [
    { name: 'trialkeep_append_waiting', value: ledger.appender.waiting },
    { name: 'trialkeep_changes_waiting', value: gate.changes },
    { name: 'trialkeep_poll_age_seconds', value: polls.age_ms / 1000 },
    { name: 'trialkeep_facts_total', value: facts.counts.known, labels: { from: 'cache' } },
    { name: 'trialkeep_facts_total', value: facts.counts.read, labels: { from: 'database' } },
    { name: 'trialkeep_unwrapped_keys', value: hierarchy.unwrappedKeys },
    ...Object.entries(ledgers).map(([state, value]): Sample => ({
      name: 'trialkeep_witnessed_ledgers',
      value,
      labels: { state },
    })),
  ];
}

async function readinessSamples(readiness: Readiness): Promise<Sample[]> {
  const reasons = await readiness.reasons();
  return [
    { name: 'trialkeep_ready', value: reasons.length === 0 ? 1 : 0 },
    ...unreadyReasons.map((reason): Sample => ({
      name: 'trialkeep_not_ready',
      value: reasons.includes(reason) ? 1 : 0,
      labels: { reason },
    })),
  ];
}

async function ledgerSamples(database: Database, clock: Clock): Promise<Sample[]> {
  const rows = await database.read((tx) => store.ledgerProgress(tx));
  const now = clock.now();
  const sum = (of: (row: (typeof rows)[number]) => number): number =>
    rows.reduce((total, row) => total + of(row), 0);
  const lags = rows.map((row) =>
    row.covered >= row.size ? 0 : Math.max(0, now - (row.uncovered ?? row.time)),
  );
  return [
    { name: 'trialkeep_ledger_entries', value: sum(({ size }) => size) },
    { name: 'trialkeep_ledger_unintegrated_entries', value: sum(({ size, treeSize }) => size - treeSize) },
    {
      name: 'trialkeep_ledger_unindexed_entries',
      value: sum(({ size, indexed }) => Math.max(0, size - (indexed ?? 0))),
    },
    {
      name: 'trialkeep_checkpoint_lag_seconds',
      value: lags.reduce((most, lag) => Math.max(most, lag), 0) / 1000,
    },
  ];
}

async function jobSamples(database: Database, clock: Clock): Promise<Sample[]> {
  const { due, lag_ms } = await database.read((tx) => store.dueJobs(tx, clock));
  return [
    { name: 'trialkeep_jobs_due', value: due },
    { name: 'trialkeep_job_lag_seconds', value: lag_ms / 1000 },
  ];
}

/** What every key, and every job, is looked at for. */
async function keySamples(database: Database, clock: Clock): Promise<Sample[]> {
  const { states, overdue } = await countKeys(database, clock.now());
  const failing = await database.read((tx) => store.failingJobs(tx));
  return [
    { name: 'trialkeep_jobs_failing', value: failing },
    ...keyStates.map((state): Sample => ({
      name: 'trialkeep_keys',
      value: states.get(state) ?? 0,
      labels: { state },
    })),
    { name: 'trialkeep_keys_rotation_overdue', value: overdue },
  ];
}
