import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import {
  combineShares,
  createEscrowKey,
  formatShare,
  openBytes,
  openEscrowKey,
  parseShare,
  splitSecret,
} from '@trialkeep/crypto';
import type { Io } from '../io.ts';
import { runCommand, serving } from '../fixture.test.ts';
import { handOut } from './hand-out.ts';

/** A terminal whose person answers by what the screen shows: a page with a share, and questions. */
function atTerminal(answer: (shown: string, share: string) => string | undefined) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const stderr = Object.assign(new PassThrough(), { isTTY: true });
  const stdout = new PassThrough();
  const screen = { all: '', share: '' };
  let pending = '';
  stderr.on('data', (chunk: Buffer) => {
    screen.all += chunk.toString();
    pending += chunk.toString();
    const groups = [...pending.matchAll(/^ {2}(?:TKS1| {4}) {2}([0-9A-Z]{4} - .*)$/gm)].map(
      ([, line]) => line,
    );
    if (groups.length === 3) screen.share = `TKS1-${groups.join('-').replaceAll(' ', '')}`;
    const typed = answer(pending, screen.share);
    if (typed === undefined) return;
    pending = '';
    setImmediate(() => stdin.write(`${typed}\r`));
  });
  const io: Io = { stdin, stderr, stdout, env: {}, signal: new AbortController().signal };
  return { io, screen };
}

const two = { threshold: 2, count: 2, recipients: [] };

test('each custodian sees one share once, on a page that is cleared, and types it back [URS-010]', async () => {
  const shown: string[] = [];
  let slips = 0;
  const { io, screen } = atTerminal((pending, share) => {
    if (pending.endsWith('to see share 1 of 2. ') || pending.endsWith('to see share 2 of 2. ')) return '';
    if (pending.endsWith('the screen is cleared. ')) {
      shown.push(share);
      return '';
    }
    if (!pending.endsWith('abandons the ceremony): ')) return undefined;
    slips += 1;
    // First a slip, then the share of somebody else, then the right one.
    if (slips === 1) return share.slice(0, -1) + (share.endsWith('Z') ? 'Y' : 'Z');
    if (slips === 5) return shown[0] ?? '';
    return share.toLowerCase();
  });
  const { shares, commitment, confirmed } = await handOut(io, { ...two, custodians: ['Ana', 'Ben'] });
  assert.deepEqual(confirmed, [
    { index: 1, by: 'Ana', how: 'typed' },
    { index: 2, by: 'Ben', how: 'typed' },
  ]);
  assert.equal(combineShares(shares.map(parseShare), commitment).length, 32);
  assert.match(screen.all, /look at group 18/);
  assert.equal(screen.all.split('\u001b[?1049h').length, 3);
  assert.equal(screen.all.split('\u001b[2J\u001b[3J\u001b[H\u001b[?1049l').length, 3);
  for (const share of shown) {
    const group = share.split('-')[9] ?? '';
    const outside = screen.all.replaceAll(/\u001b\[\?1049h.*?\u001b\[\?1049l/gs, '');
    assert.ok(!outside.includes(group), 'What stays on the screen holds no share.');
  }
});

test('an empty line abandons the ceremony [URS-010]', async () => {
  const { io } = atTerminal((pending) =>
    /(?:of 2\. |is cleared\. |abandons the ceremony\): )$/.test(pending) ? '' : undefined,
  );
  await assert.rejects(handOut(io, { ...two, custodians: ['Ana', 'Ben'] }), {
    code: 'cli.ceremony_abandoned',
  });
});

test('without a terminal shares go into files of their custodians, sealed where they have a key [URS-010]', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trialkeep-ceremony-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const stream = () => new PassThrough();
  const io: Io = {
    stdin: stream(),
    stderr: stream(),
    stdout: stream(),
    env: {},
    signal: new AbortController().signal,
  };
  const custodians = ['Ana', 'Ben'];
  await assert.rejects(handOut(io, { ...two, custodians }), { code: 'cli.ceremony_terminal' });
  const sharesDir = join(folder, 'plain');
  await assert.rejects(handOut(io, { ...two, custodians: ['Ana'], sharesDir }), {
    code: 'cli.ceremony_people',
  });
  const plain = await handOut(io, { ...two, custodians, sharesDir });
  assert.equal((await readFile(join(sharesDir, 'share-2.txt'), 'utf8')).trim(), plain.shares[1]);
  assert.equal((await stat(join(sharesDir, 'share-2.txt'))).mode & 0o777, 0o600);
  await assert.rejects(handOut(io, { ...two, custodians, sharesDir }), { code: 'cli.shares_file' });

  const passphrase = 'sieben Zwerge trinken Kaffee';
  const pair = await createEscrowKey({
    name: 'Ana',
    passphrase,
    timeMs: 0,
    cost: { m: 19_456, t: 2, p: 1 },
  });
  const recipient = join(folder, 'ana.pub');
  await writeFile(recipient, pair.publicFile);
  const sealedDir = join(folder, 'sealed');
  const options = { ...two, custodians, sharesDir: sealedDir, recipients: [recipient, recipient] };
  const sealed = await handOut(io, options);
  assert.deepEqual(
    sealed.confirmed.map(({ how }) => how),
    ['sealed', 'sealed'],
  );
  const file = await readFile(join(sealedDir, 'share-1.sealed'));
  const { identity } = await openEscrowKey(pair.privateFile, passphrase);
  const opened = await openBytes(file, {
    requiredContext: { purpose: 'key-ceremony', custodian: 'Ana' },
    dataKeyFor: async ({ encryptedDataKeys, context }) => {
      const [first = assert.fail()] = encryptedDataKeys;
      return identity.unwrap(first, context);
    },
  });
  assert.equal(Buffer.from(opened).toString('utf8').trim(), sealed.shares[0]);
});

test('unseal gives shares to a server on this machine, and never across an open network [URS-010]', async () => {
  const shares = splitSecret(new Uint8Array(32), { threshold: 2, count: 3 }).map(formatShare);
  const progress = (given: number) => ({
    state: given < 2 ? 'sealed' : 'opening',
    set: '00000000',
    threshold: 2,
    count: 3,
    given,
    wrong: 0,
  });
  let given = 0;
  await serving(
    ({ method }) => [200, progress(method === 'POST' ? ++given : given)],
    async (url, asked) => {
      const stdin = `${shares.slice(0, 2).join('\n')}\n`;
      const ran = await runCommand(['unseal', '--url', url], { stdin });
      assert.deepEqual([ran.status, ran.stdout], [0, 'The root of trust is open; the server starts.\n']);
      assert.deepEqual(
        asked.map(({ method, path, body }) => [method, path, body['share']]),
        [
          ['GET', '/v1/unseal', undefined],
          ['POST', '/v1/unseal', shares[0]],
          ['POST', '/v1/unseal', shares[1]],
        ],
      );
      given = 0;
      const typed = [['Your share (not shown): ', shares[2] ?? '']] as const;
      const person = await runCommand(['unseal', '--url', url, '--json'], { typed });
      assert.equal((JSON.parse(person.stdout) as { given: number }).given, 1);
      assert.ok(!person.stderr.includes(shares[2]?.slice(10) ?? ''), 'It is not shown.');
    },
  );
  await serving(
    () => [404, { error: {} }],
    async (url) => {
      const ran = await runCommand(['unseal', '--url', url], { stdin: shares[0] ?? '' });
      assert.deepEqual([ran.status, ran.stdout], [0, 'The server is not sealed.\n']);
    },
  );
  for (const url of ['http://trialkeep.example', 'ftp://127.0.0.1', 'nothing']) {
    const ran = await runCommand(['unseal', '--url', url, '--json'], { stdin: shares[0] ?? '' });
    assert.match(ran.stderr, /cli\.unseal_address/);
  }
});
