import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { StartupError } from './errors.ts';
import { assertNoKeyLiteral } from './key-literal.ts';

/** What `trialkeep.json` holds. It never holds a secret. */
const configuration = Type.Object(
  {
    format: Type.Literal(1),
    profile: Type.Enum(['evaluation', 'regulated']),
    /** The region part of key names. */
    region: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    /** What the origins of this instance's ledgers begin with: a schema-less URL without spaces or plus. */
    origin: Type.String({ pattern: '^[a-z0-9.-]{1,100}(?:/[A-Za-z0-9._~-]{1,100})*$' }),
  },
  { additionalProperties: false },
);
export type Configuration = Static<typeof configuration>;
export type Profile = Configuration['profile'];

/** Where everything of one installation lies. */
export interface DataDirectory {
  readonly path: string;
  readonly configuration: string;
  /** Held by the process that uses the directory. */
  readonly lock: string;
  /** The root of trust: passphrase file, its parameters, epoch keys. */
  readonly root: string;
  readonly state: string;
  readonly database: string;
  readonly shredStore: string;
  /** Checkpoints kept outside the database; restoring the database leaves them alone. */
  readonly anchor: string;
}

export function dataDirectory(path: string): DataDirectory {
  return {
    path,
    configuration: join(path, 'trialkeep.json'),
    lock: join(path, 'lock'),
    root: join(path, 'root'),
    state: join(path, 'state'),
    database: join(path, 'state', 'trialkeep.db'),
    shredStore: join(path, 'shred', 'shred.db'),
    anchor: join(path, 'anchor'),
  };
}

/** Reads the configuration; refuses unknown fields and anything that looks like a key (URS-011). */
export function readConfiguration(directory: DataDirectory): Configuration {
  if (!existsSync(directory.configuration)) throw new StartupError('data.missing', directory.path);
  let text: string;
  try {
    text = readFileSync(directory.configuration, 'utf8');
  } catch (error) {
    throw new StartupError('data.unreadable', directory.configuration, error);
  }
  assertNoKeyLiteral(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new StartupError('config.invalid', 'It is not JSON.', error);
  }
  if (!Value.Check(configuration, value)) {
    const [problem] = Value.Errors(configuration, value);
    throw new StartupError(
      'config.invalid',
      `${problem?.instancePath || '/'}: ${problem?.message ?? 'unknown'}.`,
    );
  }
  return value;
}
