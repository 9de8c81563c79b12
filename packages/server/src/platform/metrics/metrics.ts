import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { OperationId } from '@trialkeep/contract';
import { errors } from '@trialkeep/contract';
import type { Admission } from '../http.ts';
import { OperationError } from '../errors.ts';
import { metricTable } from './table.ts';
import type { MetricDefinition, MetricName, RequestOutcome } from './table.ts';
import { steadyMs } from '../clock.ts';

/** A value of a metric, with its labels. */
export interface Sample {
  readonly name: MetricName;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Gives what is not counted as it happens, whenever somebody asks. */
export type Source = () => Promise<readonly Sample[]> | readonly Sample[];

/** How long what sources gave is good for: scraping more often costs no more. */
const freshMs = 1000;

/**
 * The metrics of one server, in the text format of Prometheus (version 0.0.4). Counting a request is a few increments: nothing is formatted,
 * read or allocated until somebody asks.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #requests = new Map<string, { observe(seconds: number): void }>();
  readonly #outcomes = new Map<string, { inc(): void }>();
  readonly #sources: Source[] = [];
  #text: { readonly at_ms: number; readonly text: Promise<string> } | undefined;

  constructor() {
    for (const [name, definition] of Object.entries<MetricDefinition>(metricTable)) {
      const { type, help, labels = {}, buckets } = definition;
      const common = { name, help, labelNames: Object.keys(labels), registers: [this.#registry] };
      if (type === 'counter') this.#counters.set(name, new Counter(common));
      else if (type === 'gauge') this.#gauges.set(name, new Gauge(common));
      else this.#histograms.set(name, new Histogram({ ...common, buckets: [...(buckets ?? [])] }));
    }
  }

  /** What is asked for its values whenever somebody asks for the metrics. */
  addSource(source: Source): void {
    this.#sources.push(source);
  }

  count(name: MetricName, labels: Readonly<Record<string, string>> = {}): void {
    this.#counters.get(name)?.inc({ ...labels });
  }

  observe(name: MetricName, value: number): void {
    this.#histograms.get(name)?.observe(value);
  }

  /** A way in whose requests are counted and timed. */
  watch(gate: Admission): Admission {
    return {
      admit: async (request) => {
        const begun_ms = steadyMs();
        let outcome: RequestOutcome = 'success';
        try {
          return await gate.admit(request);
        } catch (error) {
          const code = error instanceof OperationError ? error.code : 'server.internal';
          outcome = outcomeOf(code);
          this.count('trialkeep_errors_total', { code });
          throw error;
        } finally {
          this.#request(request.operation, outcome, (steadyMs() - begun_ms) / 1000);
        }
      },
    };
  }

  /** The text of all metrics. */
  text(): Promise<string> {
    const now_ms = steadyMs();
    if (this.#text === undefined || now_ms - this.#text.at_ms >= freshMs) {
      this.#text = { at_ms: now_ms, text: this.#collect() };
    }
    return this.#text.text;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #request(operation: OperationId, outcome: RequestOutcome, seconds: number): void {
    let histogram = this.#requests.get(operation);
    if (histogram === undefined) {
      histogram = this.#histograms
        .get('trialkeep_request_seconds' satisfies MetricName)
        ?.labels({ operation });
      if (histogram !== undefined) this.#requests.set(operation, histogram);
    }
    histogram?.observe(seconds);
    const name = `${operation} ${outcome}`;
    let counter = this.#outcomes.get(name);
    if (counter === undefined) {
      counter = this.#counters
        .get('trialkeep_requests_total' satisfies MetricName)
        ?.labels({ operation, outcome });
      if (counter !== undefined) this.#outcomes.set(name, counter);
    }
    counter?.inc();
  }

  async #collect(): Promise<string> {
    for (const source of this.#sources) {
      for (const { name, value, labels = {} } of await source()) this.#set(name, value, { ...labels });
    }
    return this.#registry.metrics();
  }

  /** Gauges get their value; counters that something else counts come to it. */
  #set(name: MetricName, value: number, labels: Record<string, string>): void {
    this.#gauges.get(name)?.set(labels, value);
    const counter = this.#counters.get(name);
    if (counter === undefined) return;
    counter.remove(labels);
    counter.inc(labels, value);
  }
}

function outcomeOf(code: keyof typeof errors): RequestOutcome {
  if (code === 'approval.needed' || code === 'signature.needed') return 'pending';
  return errors[code].status >= 500 ? 'failed' : 'refused';
}
