import { WitnessError } from './errors.ts';
import { readSmallFile } from './files.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The one object that a file of the data directory holds. @throws WitnessError `witness.file_malformed`, `witness.data_unusable` */
export function readJsonObject(path: string, maxBytes: number): JsonObject {
  const text = readSmallFile(path, maxBytes);
  try {
    return asObject(JSON.parse(text), path);
  } catch (error) {
    if (error instanceof WitnessError) throw error;
    throw new WitnessError('witness.file_malformed', path, error);
  }
}

export function asObject(value: unknown, place: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new WitnessError('witness.file_malformed', place);
}

export function asArray(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new WitnessError('witness.file_malformed', place);
}

export function asText(value: unknown, place: string): string {
  if (typeof value === 'string' && value !== '' && value.length <= 8192) return value;
  throw new WitnessError('witness.file_malformed', place);
}

export function asInteger(value: unknown, least: number, most: number, place: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new WitnessError('witness.file_malformed', place);
}

/** Bytes of canonical base64 (RFC 4648 section 4). */
export function asBytes(value: unknown, place: string): Buffer {
  const text = asText(value, place);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') === text) return bytes;
  throw new WitnessError('witness.file_malformed', place);
}
