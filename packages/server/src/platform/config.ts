import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { systemTypes } from '@trialkeep/contract';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import type { DatabaseLocations } from './database.ts';
import { StartupError } from './errors.ts';
import { assertNoKeyLiteral } from './key-literal.ts';
import { isSameDatabase, parsePostgresUrl } from './postgres/location.ts';

/** Where trusted time comes from (docs/how-to/timestamp-the-ledger.md). */
const timestamps = Type.Object(
  {
    /** Asked in this order until one gives a timestamp. */
    authorities: Type.Array(
      Type.Object(
        {
          url: Type.String({ minLength: 8, maxLength: 500 }),
          /** PEM file of the certificates that its chain ends in; relative to the data directory. */
          roots: Type.String({ minLength: 1, maxLength: 500 }),
          /** The policy under which timestamps are wanted; the authority's own otherwise. */
          policy: Type.Optional(Type.String({ pattern: '^[0-2](?:\\.(?:0|[1-9][0-9]{0,9})){1,20}$' })),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 8 },
    ),
    /** A log that has grown is stamped after so long at the latest; after a rotation or revocation at once. */
    intervalHours: Type.Optional(Type.Integer({ minimum: 1, maximum: 8760 })),
    /** How far the clock of the database may be from those of authorities and witnesses. */
    maxDriftSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })),
  },
  { additionalProperties: false },
);

/** What `trialkeep.json` holds. It never holds a secret. */
const configuration = Type.Object(
  {
    format: Type.Literal(1),
    profile: Type.Enum(['evaluation', 'regulated']),
    /** The region part of key names. */
    region: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    /** What the origins of this instance's ledgers begin with: a schema-less URL without spaces or plus. */
    origin: Type.String({ pattern: '^[a-z0-9.-]{1,100}(?:/[A-Za-z0-9._~-]{1,100})*$' }),
    timestamps: Type.Optional(timestamps),
    /** Whether the server refuses to start without an active FIPS provider (URS-001); `off` unless it is set. */
    fips: Type.Optional(Type.Enum(['required', 'off'])),
    /** The folder of the root of trust, where it is not `root`; relative to the data directory. */
    root: Type.Optional(Type.String({ minLength: 1, maxLength: 500, pattern: '^[^\\0]+$' })),
    /** How long clients may go on using a data key that they have; what is said of it where keys are revoked. */
    clientDataKeySeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
    /** Types of systems whose keys have to be in an HSM, where one is configured; `etmf` unless it says otherwise. */
    hsmSystemTypes: Type.Optional(Type.Array(Type.Enum(systemTypes), { maxItems: 5, uniqueItems: true })),
  },
  { additionalProperties: false },
);
export type TimestampConfiguration = Static<typeof timestamps>;
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

/**
 * The directory with the root of trust that is in use: the one that the environment names (TRIALKEEP_ROOT, for a start with a
 * stand-by root), else the one of the configuration.
 */
export function withRoot(directory: DataDirectory, configuration: Configuration): DataDirectory {
  const folder = process.env['TRIALKEEP_ROOT'] ?? configuration.root;
  return folder === undefined ? directory : { ...directory, root: resolve(directory.path, folder) };
}

/**
 * Where the two databases are: on the PostgreSQL server that TRIALKEEP_DATABASE and TRIALKEEP_SHRED_DATABASE name, or files of
 * the data directory. The directory remembers nothing of it: a location may change, and is none of a backup's content.
 *
 * @throws StartupError `database.url_invalid`, `database.url_password`, `database.url_insecure`
 */
export function databaseLocations(
  directory: DataDirectory,
  env: Readonly<Record<string, string | undefined>>,
): DatabaseLocations {
  const variables = ['TRIALKEEP_DATABASE', 'TRIALKEEP_SHRED_DATABASE'] as const;
  const [main, shred] = variables.map((name) => {
    const url = env[name];
    return url === undefined ? undefined : parsePostgresUrl(url, name);
  });
  if (main === undefined && shred === undefined) {
    return { main: directory.database, shred: directory.shredStore };
  }
  if (main === undefined || shred === undefined) {
    throw new StartupError('database.url_invalid', `${variables.join(' and ')} belong together.`);
  }
  if (isSameDatabase(main, shred)) {
    throw new StartupError('database.url_invalid', `${variables.join(' and ')} name the same database.`);
  }
  return { main, shred };
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
