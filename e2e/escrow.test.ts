import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, test } from 'node:test';
import { generateKey, noReceipt, signUses } from '@trialkeep/crypto';
import { parseEscrowRecipient } from '@trialkeep/sdk/escrow';
import { recipientKeys, sealFile, serverKeys, withFallback } from '@trialkeep/sdk/seal';
import type { KeySource } from '@trialkeep/sdk/seal';
import { exported, keep } from './key-uses.ts';
import {
  answerOf,
  asCaller,
  clientOf,
  failureOf,
  makeFolder,
  newInstallation,
  ServerProcess,
  trialkeep,
} from './harness.ts';
import type { Installation } from './harness.ts';
import { newTenant } from './tenant.ts';
import type { LedgerEntry, Tenant } from './tenant.ts';

const passphrase = 'six words that nobody has drawn';
const place = makeFolder();
/** What lies in the safe, and what those who seal have. */
const [stick, office] = [join(place, 'stick'), join(place, 'office')];
const identity = join(stick, 'escrow.private');
const publicFile = join(office, 'escrow.public');
const list = join(stick, 'openings.jsonl');

let installation: Installation;
let server: ServerProcess;
let tenant: Tenant;
/** Id of the escrow key, as it was told by telephone. */
let id: string;

interface Made {
  readonly id: string;
  readonly publicFile: string;
}

const create = (folder: string) =>
  answerOf<Made>(['escrow', 'create', 'Sponsor archive', '--out-dir', folder], { stdin: passphrase });

before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  mkdirSync(office);
  const made = await create(stick);
  copyFileSync(made.publicFile, publicFile);
  ({ id } = made);
});

/** What made the escrow key seal alone. */
const causes: string[] = [];

/** What a capturing system seals under: the server's key and the escrow key, and the escrow key alone while the server is away. */
async function captureKeys(file = publicFile): Promise<KeySource> {
  const { recipient } = await parseEscrowRecipient(readFileSync(file, 'utf8'));
  const client = clientOf(server, tenant.credentials.service.secret);
  const recipients = [recipient];
  const own = serverKeys(client, { key: tenant.key, recipients });
  return withFallback(own, recipientKeys({ recipients }), ({ code }) => void causes.push(code));
}

/** Seals a file of that name, and gives the path of the sealed one. */
async function capture(keys: KeySource, name: string): Promise<string> {
  const source = join(office, name);
  writeFileSync(source, `readings of ${name}`);
  const context = { study: tenant.study, subject: tenant.subject, class: 'ecg' };
  await sealFile(keys, { source, target: `${source}.sealed`, context });
  return `${source}.sealed`;
}

/** Opens a file by command with the escrow key, and nothing of a server. */
const openArguments = (sealed: string, out: string, { from = identity, openings = list } = {}): string[] => {
  return ['open', sealed, '--identity', from, '--openings', openings, '--out', out];
};

async function openOffline(sealed: string): Promise<void> {
  const out = `${sealed}.${Date.now()}.opened`;
  const ran = await trialkeep(openArguments(sealed, out), { stdin: passphrase });
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(readFileSync(out, 'utf8'), `readings of ${basename(sealed, '.sealed')}`);
}

/** Opens what has to stay closed, and gives the code of the error. */
async function openRefused(
  sealed: string,
  { stdin = passphrase, ...more }: { stdin?: string; from?: string; openings?: string } = {},
): Promise<string> {
  const out = join(place, 'never');
  const { code } = await failureOf(openArguments(sealed, out, more), { stdin });
  assert.throws(() => readFileSync(out), { code: 'ENOENT' });
  return code;
}

interface Reported {
  readonly fresh: number;
  readonly receipts: number;
  readonly acknowledged: number;
  readonly gaps: readonly object[];
}

const asCustodian = (of = tenant) => ({ env: asCaller(server, of.credentials.custodian.secret) });
const report = (path = list, more: string[] = []) =>
  answerOf<Reported>(['escrow', 'report', path, ...more], asCustodian());
const reportRefused = async (path: string, more: string[] = []) =>
  (await failureOf(['escrow', 'report', path, ...more], asCustodian())).code;

interface OpeningEntry extends LedgerEntry {
  readonly attested: { readonly use: string; readonly recipient: string; readonly sequence: number };
  readonly gap?: { readonly from: number; readonly to: number };
}

/** The entries of openings in the tenant's exported and verified ledger; a report of nothing new has an entry of its own. */
async function openingEntries(kept: string): Promise<OpeningEntry[]> {
  const entries = await exported(server, tenant, kept);
  return entries.filter((entry) => entry.outcome === 'success' && 'attested' in entry) as OpeningEntry[];
}

test('capture goes on while the server is away, is opened offline, and comes into the ledger later [URS-038] [URS-046] [URS-054]', async () => {
  const keys = await captureKeys();
  const kept = await keep(server, tenant);
  const earlier = await capture(keys, 'earlier');
  await server.kill();
  assert.deepEqual(causes, []);
  const meanwhile = await capture(keys, 'meanwhile');
  assert.deepEqual(causes, ['client.unreachable']);
  for (const sealed of [earlier, meanwhile, earlier]) await openOffline(sealed);
  const verified = await answerOf<{ openings: number; recipient: string }>(
    ['escrow', 'verify', list, '--recipient', publicFile],
    // No profile, no server, no network is needed.
    { env: { HOME: place } },
  );
  assert.deepEqual([verified.openings, verified.recipient], [3, id]);

  server = await ServerProcess.start(installation.data);
  assert.deepEqual([(await report()).fresh, (await report()).fresh], [3, 0]);
  await openOffline(meanwhile);
  const { fresh, receipts, acknowledged } = await report();
  assert.deepEqual([fresh, receipts, acknowledged], [1, 4, 4]);
  const entries = await openingEntries(kept);
  assert.deepEqual(
    entries.map(({ attested: { recipient, use, sequence }, gap }) => [recipient, use, sequence, gap]),
    [1, 2, 3, 4].map((sequence) => [id, 'open', sequence, undefined]),
  );
  for (const { subject, study, actor } of entries) {
    const { custodian } = tenant.credentials;
    assert.deepEqual([subject, study, actor], [tenant.subject, tenant.study, custodian.id]);
  }
});

test('what was altered on its way to the ledger is refused, and nothing of it is taken [URS-033]', async () => {
  const kept = await keep(server, tenant);
  const before = (await openingEntries(kept)).length;
  const lines = readFileSync(list, 'utf8').split('\n').slice(0, -1);
  const altered = join(place, 'altered.jsonl');
  const write = (left: readonly string[]): void =>
    writeFileSync(altered, left.map((line) => `${line}\n`).join(''));
  const [one = '', two = '', three = ''] = lines;

  write([one, two.replace('"class":"ecg"', '"class":"mri"'), three]);
  assert.equal(await reportRefused(altered), 'escrow.openings_invalid');
  write([one, three]);
  assert.equal(await reportRefused(altered), 'escrow.openings_incomplete');
  // Under gaps that are accepted, the ledger has what the list lacks already.
  assert.equal((await report(altered, ['--accept-gaps'])).fresh, 0);

  // Somebody without the escrow key: under a key of their own, it is another reporter's word, which the public file tells apart.
  const { uses } = JSON.parse(one) as { uses: Parameters<typeof signUses>[1]['uses'] };
  const signed = signUses(generateKey('ED25519'), { first: 1, previous: noReceipt, uses });
  const { reporter, first, previous, signature } = signed;
  write([JSON.stringify({ reporter, first, previous, uses, signature })]);
  assert.equal(await reportRefused(altered, ['--recipient', publicFile]), 'escrow.openings_foreign');
  // Under the escrow key's name, it does not verify.
  const named = (JSON.parse(one) as { reporter: string }).reporter;
  write([JSON.stringify({ reporter: named, first, previous, uses, signature })]);
  assert.equal(await reportRefused(altered), 'escrow.openings_invalid');
  assert.equal((await openingEntries(kept)).length, before);
});

test('a line that is lost for good stays visible as a gap, and does not come back [URS-033] [URS-038]', async () => {
  const kept = await keep(server, tenant);
  const sealed = await capture(await captureKeys(), 'gap');
  const { acknowledged } = await report();
  for (let i = 0; i < 2; i++) await openOffline(sealed);
  const lines = readFileSync(list, 'utf8').split('\n').slice(0, -1);
  const lacking = join(place, 'lacking.jsonl');
  writeFileSync(lacking, [...lines.slice(0, -2), lines.at(-1), ''].join('\n'));
  assert.equal(await reportRefused(lacking), 'escrow.openings_incomplete');
  const lost = { from: acknowledged + 1, to: acknowledged + 1 };
  const reported = await report(lacking, ['--accept-gaps']);
  assert.deepEqual([reported.fresh, reported.gaps], [1, [lost]]);
  assert.equal((await report()).fresh, 0);
  const entries = await openingEntries(kept);
  assert.deepEqual(entries.at(-1)?.gap, lost);
  assert.ok(entries.every(({ attested }) => attested.sequence !== lost.from));
});

test('a wrong passphrase, an altered private file and another recipient open nothing [URS-047]', async () => {
  const sealed = await capture(await captureKeys(), 'refused');
  const before = readFileSync(list);
  assert.equal(await openRefused(sealed, { stdin: `${passphrase}.` }), 'crypto.passphrase_wrong');
  const text = readFileSync(identity, 'utf8');
  const altered = join(place, 'altered.private');
  const at = text.indexOf('"sealed":"') + 20;
  writeFileSync(altered, text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1));
  assert.equal(await openRefused(sealed, { from: altered }), 'crypto.passphrase_wrong');

  // A public file that somebody exchanged on its way is valid: only its id tells, and whoever does not compare it seals to another.
  const elsewhere = join(place, 'elsewhere');
  const theirs = await create(elsewhere);
  const exchanged = await answerOf<{ id: string; name: string }>(['escrow', 'show', theirs.publicFile]);
  assert.equal(exchanged.name, 'Sponsor archive');
  assert.notEqual(exchanged.id, id);
  const toThem = await capture(await captureKeys(theirs.publicFile), 'exchanged');
  assert.equal(await openRefused(toThem), 'seal.no_key');
  const foreign = ['escrow', 'verify', list, '--recipient', theirs.publicFile];
  assert.equal((await failureOf(foreign)).code, 'escrow.openings_foreign');
  assert.deepEqual(readFileSync(list), before);
});

test('only a custodian brings openings, and each tenant has its own ledger [URS-019] [URS-049]', async () => {
  for (const role of ['service', 'auditor', 'data-recovery'] as const) {
    const env = asCaller(server, tenant.credentials[role].secret);
    const { code } = await failureOf(['escrow', 'report', list], { env });
    assert.ok(['access.denied', 'receipts.foreign_use'].includes(code), `${role}: ${code}`);
  }
  const other = await newTenant(server, installation.administrator.secret, 'Another sponsor');
  const own = join(place, 'own.jsonl');
  copyFileSync(list, own);
  const reported = await answerOf<Reported>(['escrow', 'report', own], asCustodian(other));
  assert.equal(reported.fresh, reported.receipts);
});

test('without a place for the list nothing is opened [URS-046]', async () => {
  const sealed = await capture(await captureKeys(), 'nowhere');
  const openings = join(place, 'no', 'such', 'folder');
  assert.equal(await openRefused(sealed, { openings }), 'escrow.openings_unusable');
});
