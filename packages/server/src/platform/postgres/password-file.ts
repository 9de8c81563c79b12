import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DatabaseError } from '../database-error.ts';
import type { PostgresLocation } from './location.ts';

/** SQLSTATE invalid_authorization_specification. */
const loginRefused = '28000';
const maxFileBytes = 64 * 1024;

/**
 * The password for a location, from the file that PGPASSFILE names, or `.pgpass` in the home folder: the first line of
 * `host:port:database:user:password` that fits, where `*` fits everything and a backslash takes the next character as it is
 * (PostgreSQL, section "The Password File"). Read for every connection, so that a password can be changed.
 *
 * @returns undefined where no line fits or no file is there: the server may ask for none
 * @throws DatabaseError where others can read the file, or nobody can
 */
export function readPassword(
  { host, port, database, user }: PostgresLocation,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const file = env['PGPASSFILE'] ?? join(homedir(), '.pgpass');
  const text = readFile(file, env['PGPASSFILE'] !== undefined);
  const wanted = [host.startsWith('/') ? 'localhost' : host, String(port), database, user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = fieldsOf(line);
    const fits = wanted.every((value, at) => fields[at]?.raw === '*' || fields[at]?.value === value);
    if (fits && fields.length === wanted.length + 1) return fields.at(-1)?.value;
  }
  return undefined;
}

/** Splits a line at its first four colons that no backslash takes away. */
function fieldsOf(line: string): { readonly raw: string; readonly value: string }[] {
  const parts =
    /^((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):(.*)$/s.exec(line) ?? [];
  return parts.slice(1).map((raw) => ({ raw, value: raw.replace(/\\(.)/gs, '$1') }));
}

function readFile(file: string, isNamed: boolean): string {
  const refuse = (reason: string): DatabaseError =>
    new DatabaseError(`The password file ${file} ${reason}.`, loginRefused);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) {
    if (isNamed) throw refuse('is not there');
    return '';
  }
  if (!found.isFile() || found.size > maxFileBytes) throw refuse('is no small file');
  if ((found.mode & 0o077) !== 0) throw refuse('can be read by other accounts: run chmod 600 on it');
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw refuse('cannot be read');
  }
}
