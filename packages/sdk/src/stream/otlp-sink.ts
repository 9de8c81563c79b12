import { SeverityNumber } from '@opentelemetry/api';
import type { Attributes } from '@opentelemetry/api';
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { sdkError } from '../errors.ts';
import { isNotable, textOf, timeOf } from './record.ts';
import type { StreamRecord } from './record.ts';
import { ConnectionLost } from './sink.ts';
import type { Connection, Sink } from './sink.ts';

export interface OtlpOptions {
  /** Base URL of an OTLP/HTTP receiver; `/v1/logs` is added. */
  readonly endpoint: URL;
  /** Such as `authorization`; their values are secret. */
  readonly headers?: Readonly<Record<string, string>>;
}

type LogRecords = Parameters<typeof JsonLogsSerializer.serializeRequest>[0];

const requestMs = 30_000;
/** Longest answer that is read, bytes. */
const maxAnswerBytes = 64 * 1024;
/** OTLP specification, retryable response codes. */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const attributeNames = [
  'outcome',
  'actor',
  'role',
  'key',
  'study',
  'system',
  'subject',
  'purpose',
  'code',
] as const;

/** A collector that speaks OTLP/HTTP with JSON, and answers for each request whether it took it. */
export function otlpSink({ endpoint, headers = {} }: OtlpOptions): Sink {
  const url = new URL(`${endpoint.href.replace(/\/$/, '')}/v1/logs`);
  return {
    connect: async (signal): Promise<Connection> => {
      let taken = 0;
      return {
        send: async (records) => {
          await post(url, headers, otlpRecords(records), signal);
          taken += records.length;
        },
        taken: () => taken,
        close: async () => undefined,
      };
    },
  };
}

async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  records: LogRecords,
  signal: AbortSignal,
): Promise<void> {
  const body = JsonLogsSerializer.serializeRequest(records);
  if (body === undefined) throw new Error('The records could not be written as OTLP.');
  let status: number;
  let answer: Uint8Array;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: Buffer.from(body),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestMs)]),
    });
    ({ status } = response);
    answer = await readBounded(response);
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as { cause?: unknown };
    throw new ConnectionLost(cause instanceof Error ? cause.message : String(error), { cause: error });
  }
  if (retryable.has(status)) throw new ConnectionLost(`The collector answers ${status}.`);
  if (status !== 200) throw sdkError('stream.refused', { detail: `status ${status}` });
  const rejected = rejectedBy(answer);
  if (rejected > 0) throw sdkError('stream.refused', { detail: `${rejected} of ${records.length} records` });
}

async function readBounded(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > maxAnswerBytes) throw new Error('The answer of the collector is over-long.');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** How many records the answer says were not taken; an empty answer says none. */
function rejectedBy(answer: Uint8Array): number {
  if (answer.length === 0) return 0;
  let said: unknown;
  try {
    said = JSON.parse(Buffer.from(answer).toString('utf8'));
  } catch {
    throw sdkError('stream.refused', { detail: 'the answer is no JSON' });
  }
  const { partialSuccess } = (said ?? {}) as { partialSuccess?: { rejectedLogRecords?: unknown } | null };
  const rejected = partialSuccess?.rejectedLogRecords ?? 0;
  // JSON of protocol buffers writes 64-bit numbers as text.
  const count = typeof rejected === 'string' && /^\d{1,15}$/.test(rejected) ? Number(rejected) : rejected;
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count;
  throw sdkError('stream.refused', { detail: 'the answer does not say how many records were rejected' });
}

/** The records in the form of OpenTelemetry; docs/formats/ledger-stream.md. */
export function otlpRecords(records: readonly StreamRecord[]): LogRecords {
  const origin = records[0]?.origin ?? '';
  const resource = resourceFromAttributes({ 'service.name': 'trialkeep', 'trialkeep.ledger.origin': origin });
  const instrumentationScope = { name: 'trialkeep.ledger' };
  return records.map((record) => {
    const ms = timeOf(record);
    const notable = isNotable(record);
    const time: [number, number] = [Math.floor(ms / 1000), (ms % 1000) * 1_000_000];
    const attributes: Attributes = { 'trialkeep.ledger.position': record.position };
    for (const name of attributeNames) {
      const value = textOf(record, name);
      if (value !== undefined) attributes[`trialkeep.${name}`] = value;
    }
    return {
      hrTime: time,
      hrTimeObserved: time,
      severityNumber: notable ? SeverityNumber.WARN : SeverityNumber.INFO,
      severityText: notable ? 'WARN' : 'INFO',
      body: Buffer.from(record.bytes).toString('utf8'),
      eventName: textOf(record, 'operation') ?? 'unknown',
      attributes,
      resource,
      instrumentationScope,
      droppedAttributesCount: 0,
    };
  });
}
