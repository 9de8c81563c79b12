import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ed25519PublicKey, generateKey, signEd25519 } from '@trialkeep/crypto';
import {
  bundlePath,
  bundlesOfSize,
  cosigner,
  encodeBundle,
  formatCheckpoint,
  formatProof,
  formatVerifierKey,
  inclusionProof,
  leafHash,
  noteTypes,
  parseVerifierKey,
  signNote,
  tilePath,
  Tree,
} from '@trialkeep/ledger';
import type { Signer } from '@trialkeep/ledger';
import { sha256 } from '@trialkeep/sdk/verify';
import { runCommand } from '../fixture.test.ts';

const origin = 'log.example/trial';

function keyOf(name: string, type: 0x01 | 0x04): { verifierKey: string; signer: Signer } {
  const key = generateKey('ED25519');
  const publicKey = ed25519PublicKey(key);
  const verifierKey = formatVerifierKey(sha256, name, type, publicKey);
  const sign = (message: Uint8Array): Uint8Array => signEd25519(key, message);
  const { keyId } = parseVerifierKey(sha256, verifierKey);
  if (type === noteTypes.ed25519) return { verifierKey, signer: { name, keyId, sign } };
  return {
    verifierKey,
    signer: cosigner(sha256, { name, type, publicKey, sign, now: () => 1_794_960_000 }),
  };
}

describe('verify, on files alone', () => {
  const [log, successor, witness, absent] = [
    keyOf(origin, 0x01),
    keyOf(origin, 0x01),
    keyOf('one.example', 0x04),
    keyOf('two.example', 0x04),
  ] as const;
  const entries = Array.from({ length: 300 }, (_, i) => Buffer.from(`entry ${i}`));
  let folder: string;
  const at = (name: string): string => join(folder, name);

  async function put(name: string, content: Uint8Array | string): Promise<string> {
    await mkdir(dirname(at(name)), { recursive: true });
    await writeFile(at(name), content);
    return at(name);
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trialkeep-verify-command-'));
    const { tree, tiles } = Tree.empty(sha256).append(entries.map((entry) => leafHash(sha256, entry)));
    const files = new Map(tiles.map(({ address, hashes }) => [tilePath(address), hashes]));
    for (const [path, hashes] of files) await put(`log/${path}`, hashes);
    for (const { index, width } of bundlesOfSize(300)) {
      const some = entries.slice(index * 256, index * 256 + width);
      await put(`log/${bundlePath(index, width)}`, encodeBundle(some));
    }
    const text = formatCheckpoint({ origin, size: 300, root: tree.root() });
    const checkpoint = await signNote(text, [log.signer, witness.signer]);
    await put('log/checkpoint', checkpoint);
    await put('kept', checkpoint);
    const hashes = await inclusionProof(
      sha256,
      7,
      300,
      (address) => files.get(tilePath(address)) ?? new Uint8Array(0),
    );
    await put('entry-7.tlog-proof', formatProof({ index: 7, hashes, checkpoint }));
    await put('entry-7', entries[7] ?? '');
    const lines = `log ${log.verifierKey}\nwitness one ${witness.verifierKey}\nwitness two ${absent.verifierKey}\n`;
    await put('one.policy', `${lines}quorum one\n`);
    await put('two.policy', `${lines}group both all one two\nquorum both\n`);
    await put('none.policy', `${lines}quorum none\n`);
    await put('cut.policy', `${lines}quorum one`);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const verify = (target: string, ...options: string[]) => runCommand(['verify', at(target), ...options]);

  test('a policy that is met verifies, and the witnesses and times are shown [URS-033]', async () => {
    const { status, stdout } = await verify('log', '--policy', at('one.policy'));
    assert.equal(status, 0);
    assert.match(stdout, /^verified: cosigned by the witnesses that the policy asks for\n/);
    assert.match(
      stdout,
      /\nwitness one, 2026-11-18T00:00:00Z\nfresh   as of 2026-11-18T00:00:00Z, by enough of these witnesses\n/,
    );
    const { stdout: json } = await verify('log', '--policy', at('one.policy'), '--json');
    const result = JSON.parse(json) as Record<string, unknown>;
    assert.deepEqual(
      [result['verdict'], result['freshness'], result['freshAt']],
      ['verified', 'witnesses', 1_794_960_000],
    );
    assert.deepEqual(result['cosignatures'], [{ witness: 'one', time: 1_794_960_000 }]);
  });

  test('a policy that is not met fails, and the missing witness is named [URS-033]', async () => {
    const { status, stdout } = await verify('log', '--policy', at('two.policy'));
    assert.equal(status, 1);
    assert.match(stdout, /^failed: the ledger is whole, and too few witnesses stand behind it\n/);
    assert.match(stdout, /\nfailure: .*: two\. \[policy\.quorum\]\nfix: /);
  });

  test('any of several keys, with a kept checkpoint or without [URS-033]', async () => {
    const keys = ['--key', successor.verifierKey, '--key', log.verifierKey];
    assert.match((await verify('log', ...keys)).stdout, /^consistent; /);
    assert.match(
      (await verify('log', ...keys, '--checkpoint', at('kept'))).stdout,
      /^verified: a continuation/,
    );
    const none = await verify('log', '--policy', at('none.policy'));
    assert.deepEqual(
      [none.status, none.stdout.split('\n')[0]],
      [0, 'consistent; freshness and single history unproven'],
    );
    const narrowed = await verify('log', '--key', successor.verifierKey, '--policy', at('one.policy'));
    assert.equal(narrowed.status, 1);
  });

  test('a pruned log says what was not checked [URS-033]', async () => {
    const paths = ['log/tile/0/000', 'log/tile/entries/000'];
    const bytes = await Promise.all(paths.map((path) => readFile(at(path))));
    await Promise.all(paths.map((path) => rm(at(path))));
    const key = ['--key', log.verifierKey];
    const { status, stdout } = await verify('log', ...key, '--pruned-below', '256');
    assert.equal(status, 0);
    assert.match(
      stdout,
      /\npruned  256 entries were not checked\n[^]*warning: Entries 0 to 255: .* \[log\.pruned\]\n/,
    );
    assert.equal((await verify('log', ...key)).status, 1);
    for (const [i, path] of paths.entries()) await writeFile(at(path), bytes[i] ?? '');
  });

  test('a proof shows one entry, from a file or standard input [URS-033]', async () => {
    const proof = 'entry-7.tlog-proof';
    const known = await verify(proof, '--policy', at('one.policy'), '--entry', at('entry-7'));
    assert.equal(known.status, 0);
    assert.match(known.stdout, /^verified: cosigned [^]*\nentry   7 of 300 is this one\nwitness one, 2026/);
    const argv = ['verify', at(proof), '--key', log.verifierKey, '--json'];
    const piped = await runCommand(argv, { stdin: 'entry 7' });
    const result = JSON.parse(piped.stdout) as Record<string, unknown>;
    assert.deepEqual([result['verdict'], result['index'], result['origin']], ['consistent', 7, origin]);

    for (const [options, stdin, code] of [
      [['--key', log.verifierKey], 'entry 7\n', 'ledger.proof_invalid'],
      [['--key', successor.verifierKey], 'entry 7', 'ledger.note_unsigned'],
      [['--policy', at('two.policy')], 'entry 7', 'ledger.quorum_unmet'],
    ] as const) {
      const refused = await runCommand(['verify', at(proof), ...options], { stdin });
      assert.deepEqual([refused.status, refused.stdout], [1, '']);
      assert.ok(refused.stderr.includes(`[${code}]`), refused.stderr);
    }
  });

  test('what was edited, or is no proof and no policy, is refused by its code [URS-033]', async () => {
    const proof = (await readFile(at('entry-7.tlog-proof'))).toString();
    await put('crlf.tlog-proof', proof.replaceAll('\n', '\r\n'));
    const key = ['--key', log.verifierKey];
    for (const [target, options, code] of [
      ['crlf.tlog-proof', key, 'ledger.proof_malformed'],
      ['missing.tlog-proof', key, 'cli.input_unreadable'],
      ['log', ['--policy', at('cut.policy')], 'ledger.policy_malformed'],
      ['log', ['--policy', at('kept')], 'ledger.policy_malformed'],
      ['log', ['--policy', at('nowhere')], 'cli.input_unreadable'],
    ] as const) {
      const { status, stderr } = await runCommand(['verify', at(target), ...options], { stdin: 'entry 7' });
      assert.equal(status, 1, target);
      assert.ok(stderr.includes(`[${code}]`), stderr);
    }
  });

  test('options that do not go together are a mistake of usage', async () => {
    const key = ['--key', log.verifierKey];
    for (const argv of [
      [at('log')],
      [at('log'), ...key, '--entry', at('entry-7')],
      [at('entry-7.tlog-proof'), ...key, '--checkpoint', at('kept')],
      [at('entry-7.tlog-proof'), ...key, '--pruned-below', '1'],
      [at('log'), ...key, '--pruned-below', '-1'],
    ]) {
      const { status, stdout } = await runCommand(['verify', ...argv]);
      assert.deepEqual([status, stdout], [2, ''], argv.join(' '));
    }
  });
});
