import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { sha256 } from './fixture.test.ts';
import {
  formatVerifierKey,
  LedgerError,
  maxPolicyBytes,
  meetsQuorum,
  noteTypes,
  parsePolicy,
  witnessesOfQuorum,
  type Policy,
} from './index.ts';
import { bytesOf, fromHex, policyOf, vectorsOf } from './witnessing.fixture.test.ts';

test('vectors: policies, and which witnesses meet them [URS-033]', () => {
  for (const { why, policy: text, ...expected } of vectorsOf('policy')) {
    const policy = parsePolicy(sha256, fromHex(text));
    assert.deepEqual(
      policy.logs.map(({ verifierKey }) => verifierKey),
      expected.logs,
      why,
    );
    assert.deepEqual(
      policy.witnesses.map(({ name }) => name),
      expected.witnesses,
      why,
    );
    assert.deepEqual(witnessesOfQuorum(policy), expected.quorumWitnesses, why);
    for (const names of expected.met)
      assert.ok(meetsQuorum(policy, new Set(names)), `${why}: ${names.join(' ')}`);
    for (const names of expected.unmet)
      assert.ok(!meetsQuorum(policy, new Set(names)), `${why}: ${names.join(' ')}`);
  }
});

test('vectors: a policy with a mistake is refused, and the line is named [URS-033]', () => {
  for (const { why, error: line, policy } of vectorsOf('badPolicy')) {
    const named = line === 0 ? /\((?!line)/ : new RegExp(`\\(line ${line}: `);
    assert.throws(
      () => parsePolicy(sha256, fromHex(policy)),
      (error: unknown) =>
        error instanceof LedgerError && error.code === 'ledger.policy_malformed' && named.test(error.message),
      why,
    );
  }
});

const keyOf = (i: number, type: number): string => {
  const publicKey = new Uint8Array(32);
  new DataView(publicKey.buffer).setUint32(0, i);
  return formatVerifierKey(sha256, `key.example/${i}`, type, publicKey);
};
test('another key of a log is no witness, wherever the lines stand [URS-033]', () => {
  const verifierKey = (name: string, type: number, octet: number): string =>
    formatVerifierKey(sha256, name, type, new Uint8Array(32).fill(octet));
  const log = `log ${verifierKey('log.example', noteTypes.ed25519, 1)}\n`;
  const own = `witness w ${verifierKey('log.example', noteTypes.ed25519Cosignature, 2)}\n`;
  for (const lines of [log + own, own + log]) {
    assert.throws(() => policyOf(`${lines}quorum w\n`), {
      code: 'ledger.policy_malformed',
      message: /\(line 2: .*one name/,
    });
  }
  const second = `log ${verifierKey('log.example', noteTypes.ed25519, 3)}\n`;
  const other = `witness w ${verifierKey('w.example', noteTypes.ed25519Cosignature, 2)}\n`;
  assert.equal(policyOf(`${log}${second}${other}quorum w\n`).logs.length, 2);
});

const witnessLines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `witness w${i} ${keyOf(i, noteTypes.ed25519Cosignature)}\n`).join(
    '',
  );

test('the numbers of logs, witnesses and groups, and the length, are bounded above what the specification asks [URS-033]', () => {
  const logs = (count: number): string =>
    Array.from({ length: count }, (_, i) => `log ${keyOf(1000 + i, noteTypes.ed25519)}\n`).join('');
  const groups = (count: number): string =>
    Array.from({ length: count }, (_, i) => `group g${i} any w${i}\n`).join('');
  const policy = policyOf(`${logs(256)}${witnessLines(256)}${groups(256)}quorum g255\n`);
  assert.deepEqual([policy.logs.length, policy.witnesses.length, policy.groups.length], [256, 256, 256]);
  for (const text of [logs(257), witnessLines(257), `${witnessLines(256)}${groups(256)}group h any g0\n`]) {
    assert.throws(() => policyOf(`${text}quorum none\n`), { code: 'ledger.policy_malformed' });
  }
  const long = `quorum none\n#${'x'.repeat(maxPolicyBytes)}\n`;
  assert.throws(() => policyOf(long), { code: 'ledger.policy_size' });
  const longest = bytesOf(`quorum none\n#${'\u00e9'.repeat(maxPolicyBytes / 2 - 7)}\n`);
  assert.equal(parsePolicy(sha256, longest).quorum, 'none');
});

test('whatever bytes are given, a policy is read or refused, never anything else [URS-033]', () => {
  const words = [
    'log',
    'witness',
    'group',
    'quorum',
    'none',
    'any',
    'all',
    '1',
    'w0',
    '#',
    keyOf(0, 4),
    keyOf(0, 1),
  ];
  const line = fc.array(fc.constantFrom(...words), { maxLength: 5 }).map((items) => items.join(' '));
  const text = fc.array(line, { maxLength: 6 }).map((lines) => bytesOf(`${lines.join('\n')}\n`));
  fc.assert(
    fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      try {
        const { quorum, witnesses, groups } = parsePolicy(sha256, bytes);
        const names = [...witnesses, ...groups].map(({ name }) => name);
        assert.ok(quorum === 'none' || names.includes(quorum));
      } catch (error) {
        assert.ok(error instanceof LedgerError && error.code === 'ledger.policy_malformed', String(error));
      }
    }),
    { numRuns: 500 },
  );
});

/** Whether a name of a policy is witnessed, by the words of the specification. */
function isWitnessed(policy: Policy, name: string, cosignedBy: ReadonlySet<string>): boolean {
  const group = policy.groups.find((one) => one.name === name);
  if (group === undefined) return cosignedBy.has(name);
  return group.members.filter((member) => isWitnessed(policy, member, cosignedBy)).length >= group.threshold;
}

test('nested groups count as the specification says, and more witnesses never hurt [URS-033]', () => {
  const thresholds = fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 3 }),
  );
  fc.assert(
    fc.property(thresholds, fc.uniqueArray(fc.nat(7)), fc.nat(7), ([a, b, c], cosigned, more) => {
      const policy = policyOf(
        `${witnessLines(8)}group A ${a} w0 w1 w2\ngroup B ${b} w3 w4 w5 w6\ngroup C ${c} A B w7\nquorum C\n`,
      );
      const names = new Set(cosigned.map((i) => `w${i}`));
      const met = meetsQuorum(policy, names);
      assert.equal(met, isWitnessed(policy, 'C', names));
      if (met) assert.ok(meetsQuorum(policy, new Set([...names, `w${more}`])));
    }),
    { numRuns: 300 },
  );
});
