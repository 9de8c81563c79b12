import assert from 'node:assert/strict';
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Caller } from '@trialkeep/sdk/client';
import { copyExit, verifyExit } from '@trialkeep/sdk/exit';
import { sealFile, serverKeys } from '@trialkeep/sdk/seal';
import { openHouse, withCode } from './dual-control/house.ts';
import type { House } from './dual-control/house.ts';
import { filesIn } from './folder.ts';
import { answerOf, asCaller, clientOf, failureOf, makeFolder, trialkeep } from './harness.ts';
import { postgresSite, sqliteSite } from './nodes.ts';
import { approve } from './people.ts';
import { postgresMissing } from '../tools/postgres-cluster.ts';

const passphrase = 'six words that nobody has drawn';
const reason = 'The sponsor moves to another provider.';

const places = [
  { name: 'SQLite', skip: false as const, site: sqliteSite },
  { name: 'PostgreSQL', skip: postgresMissing, site: postgresSite },
];

/** Asks by a custodian's session, has two people approve it, and waits until it was carried out. */
async function decided(
  { server, ada, ben, nextApprover }: House,
  ask: () => Promise<{ readonly state: string; readonly approval?: string }>,
): Promise<void> {
  const kept = await ask();
  assert.equal(kept.state, 'approval-needed');
  const approval = kept.approval ?? assert.fail();
  for (const person of [ben, nextApprover()]) await approve(server, person.session, person, approval);
  const client = clientOf(server, ada.session);
  for (;;) {
    const { approval: shown } = await client.call('approvals.show', { approval });
    assert.ok(['approved', 'executed'].includes(shown.state), shown.failure ?? shown.state);
    if (shown.state === 'executed') return;
    await setTimeout(50);
  }
}

/** What the tenant has outside of Trialkeep: an escrow pair, and a file that was sealed under its key. */
interface Belongings {
  readonly house: House;
  readonly folder: string;
  /** Where the package goes. */
  readonly out: string;
  readonly pair: { readonly publicFile: string; readonly privateFile: string };
  readonly sealed: string;
}

const content = 'pulse;71\n';

async function gather(house: House): Promise<Belongings> {
  const { server, tenant } = house;
  const folder = makeFolder();
  const pair = await answerOf<Belongings['pair']>(
    ['escrow', 'create', 'Sponsor', '--out-dir', join(folder, 'safe')],
    { stdin: passphrase },
  );
  const source = join(folder, 'readings.csv');
  writeFileSync(source, content);
  const keys = serverKeys(clientOf(server, tenant.credentials.service.secret), { key: tenant.key });
  const sealed = `${source}.sealed`;
  const context = { study: tenant.study, subject: tenant.subject };
  await sealFile(keys, { source, target: sealed, context });
  return { house, folder, out: join(folder, 'package'), pair, sealed };
}

/** Begins the exit and takes the copy; one that is cut off in between is no package, and another run begins anew. */
async function copyOut({ house, out, pair }: Belongings): Promise<{ exit: string; keys: number }> {
  const { server, tenant, ada } = house;
  const custodian = clientOf(server, ada.session);
  const recipient = readFileSync(pair.publicFile, 'utf8');
  await decided(house, () => custodian.attempt('tenants.exit', { recipient, reason }));
  await assert.rejects(
    clientOf(server, tenant.credentials.custodian.secret).call('keys.create', { system: tenant.system }),
    withCode('tenant.leaving'),
  );
  const { exit } = await custodian.call('tenants.exit-state', {});
  let calls = 0;
  const dying = {
    call: async (...asked: Parameters<Caller['call']>) => {
      if (++calls === 2) throw new Error('The line went.');
      return custodian.call(...asked);
    },
  } as Caller;
  await assert.rejects(copyExit(dying, { exit, folder: out, recipient }), /The line went/);
  assert.ok(!existsSync(join(out, 'manifest.json')));
  const env = asCaller(server, ada.session);
  const argv = ['exit', 'copy', '--out', out, '--recipient', pair.publicFile];
  const copied = await answerOf<{ keys: number; pages: number }>(argv, { env });
  assert.ok(copied.keys >= 4 && copied.pages >= 2, JSON.stringify(copied));
  assert.equal((await failureOf(argv, { env })).code, 'exit.package_present');
  return { exit, keys: copied.keys };
}

/** Makes the receipt offline, and has it confirmed. */
async function confirm({ house, folder, out, pair }: Belongings, keys: number): Promise<void> {
  const { server, ada } = house;
  const receipt = join(folder, 'receipt.json');
  const said = await answerOf<{ keys: number }>(
    ['exit', 'receipt', out, '--identity', pair.privateFile, '--out', receipt],
    { stdin: passphrase },
  );
  assert.equal(said.keys, keys);
  const confirmed = await answerOf<{ state: string }>(['exit', 'confirm', receipt], {
    env: asCaller(server, ada.session),
  });
  assert.equal(confirmed.state, 'confirmed');
}

/** Opens the sealed file with the package alone. */
async function openAlone({ folder, out, pair, sealed }: Belongings, name: string): Promise<void> {
  const opened = join(folder, name);
  await answerOf(['exit', 'open', out, sealed, '--identity', pair.privateFile, '--out', opened], {
    stdin: passphrase,
  });
  assert.equal(readFileSync(opened, 'utf8'), content);
}

/** Has the keys destroyed, long after the sessions have ended and in servers that were started anew. */
async function shred({ house }: Belongings, exit: string): Promise<void> {
  const { server, tenant, ada, site } = house;
  const custodian = clientOf(server, ada.session);
  await decided(house, () => custodian.attempt('tenants.shred', { exit, reason }));
  assert.equal((await custodian.call('tenants.exit-state', {})).state, 'waiting');
  await site.advance(31);
  const auditor = clientOf(server, tenant.credentials.auditor.secret);
  while ((await auditor.call('tenants.exit-state', {})).state !== 'shredded') await setTimeout(100);
  const service = clientOf(server, tenant.credentials.service.secret);
  await assert.rejects(
    service.call('keys.decrypt', { key: tenant.key, ciphertext: 'AAAA' }),
    withCode('tenant.shredded'),
  );
  await auditor.call('ledger.checkpoint', {});
}

for (const { name, skip, site } of places) {
  const title = `${name}: a tenant takes everything along, and opens it without the server [URS-050]`;
  test(title, { skip }, async () => {
    const belongings = await gather(await openHouse(await site(), 2));
    const { house, folder, out, pair } = belongings;
    const { server, tenant, ada } = house;
    const { exit, keys } = await copyOut(belongings);
    const served = await clientOf(server, ada.session).call('ledger.verifier-key', {});
    const verifierKeys = served.trim().split('\n');
    const key = verifierKeys[0] ?? assert.fail();
    assert.equal((await trialkeep(['exit', 'verify', out, '--key', key])).status, 0);
    await expectTamperingFound(out, verifierKeys);
    await confirm(belongings, keys);
    await openAlone(belongings, 'opened.csv');
    const rows = join(folder, 'rows.jsonl');
    await answerOf(['exit', 'rows', out, '--identity', pair.privateFile, '--out', rows], {
      stdin: passphrase,
    });
    assert.ok(readFileSync(rows, 'utf8').includes(tenant.study));
    const document = join(folder, 'certificate.pdf');
    await answerOf(['evidence', 'exit', '--out', document], { env: asCaller(server, ada.session) });
    const verified = await trialkeep(['verify', document, '--key', key]);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    await shred(belongings, exit);
    // What the tenant took along opens on.
    await openAlone(belongings, 'later.csv');
  });
}

/** A byte in each file, a page that is missing, and one too many: each is named, or nothing is read. */
async function expectTamperingFound(folder: string, verifierKey: readonly string[]): Promise<void> {
  const verdictOf = async (changed: string): Promise<string> =>
    verifyExit({ folder: changed, verifierKey }).then(
      ({ verdict }) => verdict,
      (error: unknown) => {
        withCode('exit.package_invalid')(error);
        return 'failed';
      },
    );
  assert.notEqual(await verdictOf(folder), 'failed');
  const scratch = makeFolder();
  const changes: [string, (copy: string) => void][] = filesIn(folder)
    .filter((path) => !path.endsWith('verifier-keys') && !path.endsWith('keys'))
    .map((path) => [path, (copy) => flip(join(copy, path))]);
  changes.push(['a page is missing', (copy) => rmSync(join(copy, 'pages/000000.sealed'))]);
  changes.push([
    'a page too many',
    (copy) => copyFileSync(join(copy, 'pages/000000.sealed'), join(copy, 'pages/999999.sealed')),
  ]);
  changes.push([
    'pages exchanged',
    (copy) => copyFileSync(join(copy, 'pages/000000.sealed'), join(copy, 'pages/000001.sealed')),
  ]);
  for (const [index, [what, change]] of changes.entries()) {
    const copy = join(scratch, String(index));
    cpSync(folder, copy, { recursive: true });
    change(copy);
    assert.equal(await verdictOf(copy), 'failed', what);
  }
}

/** Alters one byte in the middle of a file. */
function flip(path: string): void {
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}
