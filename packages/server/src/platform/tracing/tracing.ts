import { randomInt } from 'node:crypto';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import type { Context, Span, Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import { errors, operations } from '@trialkeep/contract';
import { version } from '../../version.ts';
import { OperationError } from '../errors.ts';
import type { Admission } from '../http.ts';
import { newId } from '../ids.ts';
import type { Sample } from '../metrics/metrics.ts';
import type { TraceSettings } from './settings.ts';
import { within } from './steps.ts';
import type { Scope, StepName } from './steps.ts';
import { parseTraceparent } from './traceparent.ts';
import type { RemoteParent } from './traceparent.ts';

/** Spans that wait to be sent, and those of one message. What comes on top is dropped, and counted. */
const maxQueued = 2048;
const maxSent = 512;
/** How long spans gather, ms. */
const gatherMs = 1000;
/** How long one message may take, retries included, ms; and how many may be under way, so that the whole queue is sent at the end. */
const sendMs = 5000;
const maxSending = 4;
/** How long the end of the server waits for the last spans, ms. */
const closeMs = 3000;
/** Spans of one request: a batch of a thousand items is not told item by item. */
const maxSpans = 64;
const coinSides = 2 ** 32;
/** `ExportResultCode.SUCCESS` of a package that comes with the exporter. */
const exportSuccess = 0;

/** What came of spans. `failed`: handed to the collector, which did not confirm them. */
interface Counts {
  exported: number;
  dropped: number;
  failed: number;
}

export interface TraceNotes {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/**
 * Traces of requests, sent to an OpenTelemetry collector beside the requests: none of them ever waits for it. Whether a request is traced is decided
 * by a coin of the server's own; a caller can only ask for less than that, never for more, and chooses nothing that the coin depends on.
 */
export class Tracing {
  readonly #ratio: number;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #counts: Counts = { exported: 0, dropped: 0, failed: 0 };

  constructor({ url, ratio }: TraceSettings, notes: TraceNotes) {
    this.#ratio = ratio;
    const collector = new OTLPTraceExporter({ url, timeoutMillis: sendMs, concurrencyLimit: maxSending });
    const resource = resourceFromAttributes({
      'service.name': 'trialkeep',
      'service.version': version,
      'service.instance.id': newId(),
    });
    this.#provider = new TracerProvider({
      resource,
      sampler: new AlwaysOnSampler(),
      spanLimits: {
        attributeCountLimit: 8,
        attributeValueLengthLimit: 128,
        eventCountLimit: 0,
        linkCountLimit: 0,
      },
      spanProcessors: [countedQueue(collector, this.#counts, notes)],
    });
    this.#tracer = this.#provider.getTracer('trialkeep', version);
  }

  /** A way in whose requests are traced; not those that anybody may ask, such as whether the server is alive. */
  watch(gate: Admission): Admission {
    return {
      admit: async (request) => {
        const { operation, requestId } = request;
        const parent = parseTraceparent(request.traceparent);
        if (operations[operation].permission === 'public' || !this.#isWanted(parent))
          return gate.admit(request);
        const attributes = { 'trialkeep.operation': operation, 'trialkeep.request_id': requestId };
        const kind = SpanKind.SERVER;
        const span = this.#tracer.startSpan(operation, { kind, attributes }, contextOf(parent));
        const traced = new TracedRequest(this.#tracer);
        return traced.run(span, () => gate.admit(request)).finally(() => traced.end());
      },
    };
  }

  samples(): Sample[] {
    return Object.entries<number>({ ...this.#counts }).map(([outcome, value]) => ({
      name: 'trialkeep_trace_spans_total',
      value,
      labels: { outcome },
    }));
  }

  /** Sends what is left, for a while. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, closeMs)));
    // What was not taken has been counted and told.
    await Promise.race([this.#provider.shutdown().catch(() => undefined), late]);
    clearTimeout(timer);
  }

  #isWanted(parent: RemoteParent | undefined): boolean {
    if (parent?.isSampled === false) return false;
    return randomInt(coinSides) < this.#ratio * coinSides;
  }
}

function contextOf(parent: RemoteParent | undefined): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}

/** The spans of one request, bounded; none begins after its end, for work that it has begun may outlive it. */
class TracedRequest {
  readonly #tracer: Tracer;
  #left = maxSpans;
  #hasEnded = false;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  end(): void {
    this.#hasEnded = true;
  }

  /** Runs `work` under a span that has begun, and ends it. Of an error only its code is told: its text may hold anything. */
  async run<T>(span: Span, work: () => Promise<T>): Promise<T> {
    const scope: Scope = { step: (name, inner) => this.#step(span, name, inner) };
    try {
      return await within(scope, work);
    } catch (error) {
      const type = typeOf(error);
      span.setAttribute('error.type', type);
      if (isFailure(error)) span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }

  #step<T>(parent: Span, name: StepName, work: () => Promise<T>): Promise<T> {
    if (this.#hasEnded || --this.#left < 0) return work();
    const kind = name === 'outward' || name.startsWith('database.') ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const span = this.#tracer.startSpan(name, { kind }, trace.setSpan(ROOT_CONTEXT, parent));
    return this.run(span, work);
  }
}

/** A refusal is an answer as it should be. */
function isFailure(error: unknown): boolean {
  return !(error instanceof OperationError) || errors[error.code].status >= 500;
}

/** The stable code of one of our errors, or of the database's. */
function typeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && /^(?:[a-z][a-z._-]{1,63}|[0-9A-Z]{5})$/.test(code) ? code : 'other';
}

/**
 * The queue in front of the collector, with what comes of each span counted. The library's own queue drops in silence: nothing is given to it that
 * it would drop.
 */
function countedQueue(collector: SpanExporter, counts: Counts, notes: TraceNotes): SpanProcessor {
  let queued = 0;
  let isDelivering: boolean | undefined;
  const exporter: SpanExporter = {
    export: (spans, done) => {
      queued -= spans.length;
      collector.export(spans, (result) => {
        const code: number = result.code;
        const delivered = code === exportSuccess;
        counts[delivered ? 'exported' : 'failed'] += spans.length;
        if (delivered !== isDelivering) tell(delivered, result.error, notes);
        isDelivering = delivered;
        done(result);
      });
    },
    shutdown: () => collector.shutdown(),
  };
  const inner = new BatchSpanProcessor({
    exporter,
    maxQueueSize: maxQueued,
    maxExportBatchSize: maxSent,
    scheduledDelayMillis: gatherMs,
    exportTimeoutMillis: 2 * sendMs,
  });
  return {
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
    onStart: (span, context) => inner.onStart(span, context),
    onEnd: (span: ReadableSpan) => {
      if (queued >= maxQueued) counts.dropped += 1;
      else {
        queued += 1;
        inner.onEnd(span);
      }
    },
  };
}

/** Says it when it changes, and not with every message. */
function tell(delivered: boolean, error: Error | undefined, notes: TraceNotes): void {
  if (delivered) return notes.info({}, 'The collector takes traces.');
  const { code = 'other' } = (error ?? {}) as { code?: string | number };
  notes.warn({ code }, 'The collector does not take traces; they are dropped.');
}
