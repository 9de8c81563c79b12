/** What the tests of trusted time share: authorities that are served, and an installation that asks them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { TestAuthority, serveAuthority } from '../../../../tools/timestamp-authority.ts';
import type { AuthorityOptions, ServedAuthority } from '../../../../tools/timestamp-authority.ts';
import type { OpenInstance } from '../instance/index.ts';
import type { TimestampConfiguration } from '../platform/config.ts';

export interface Served extends ServedAuthority {
  readonly authority: TestAuthority;
}

/** An authority that is there until the test is over. */
export async function serve(t: TestContext, options?: AuthorityOptions): Promise<Served> {
  const authority = new TestAuthority(options);
  const served = await serveAuthority(authority);
  t.after(async () => {
    await served.close();
    authority.remove();
  });
  return Object.assign(served, { authority });
}

/** Puts trusted time into the configuration of a data directory. */
export function configure(
  data: string,
  served: readonly Served[],
  more: Omit<TimestampConfiguration, 'authorities'> = {},
): void {
  const file = join(data, 'trialkeep.json');
  const authorities = served.map(({ url, authority }, i) => {
    writeFileSync(join(data, `roots-${i}.pem`), authority.rootPem);
    return { url, roots: join(data, `roots-${i}.pem`) };
  });
  const before = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...before, timestamps: { authorities, ...more } }));
}

export function stampsOf({ database }: OpenInstance, log: number) {
  return database.read((tx) =>
    tx.selectFrom('ledger_timestamp').selectAll().where('log', '=', log).orderBy('size').execute(),
  );
}
