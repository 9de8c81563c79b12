import { readFileSync } from 'node:fs';
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { StartupError } from '../platform/errors.ts';

/** Reads a file of the root's folder. @throws StartupError `data.unreadable`, `config.invalid` */
export function readJson<S extends TSchema>(file: string, schema: S): Static<S> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new StartupError('data.unreadable', file, error);
  }
  if (!Value.Check(schema, value)) throw new StartupError('config.invalid', file);
  return value;
}
