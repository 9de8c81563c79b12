import { createHash, generateKeyPairSync, sign, verify, createPublicKey } from 'node:crypto';
import {
  Tree,
  formatCheckpoint,
  formatProof,
  formatVerifierKey,
  inclusionProof,
  keyId,
  leafHash,
  noteTypes,
  signNote,
  trustOf,
  type Sha256,
  type SignaturePrimitives,
  type TileAddress,
  type Trust,
  canonicalText,
} from '@trialkeep/ledger';
import {
  documentHash,
  entryBytes,
  formatDocument,
  listedEntries,
  makeEntriesProof,
  type AnswerBody,
  type EntryMembers,
  type ErasureBody,
  type EvidenceDocument,
  type EvidenceFiles,
  type Question,
  type UseKind,
} from './index.ts';

export const sha256: Sha256 = (data) => createHash('sha256').update(data).digest();
export const origin = 'evidence.example/log';
export const actor = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
export const study = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
export const subject = '0123456789abcdef0123456789abcdef';
const key = '9b2d8f6a-1c3e-4d5f-8a7b-6c5d4e3f2a1b';
const start = Date.UTC(2027, 2, 1, 9, 30);

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const rawKey = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
export const verifierKey = formatVerifierKey(sha256, origin, noteTypes.ed25519, rawKey);

export const primitives: SignaturePrimitives = {
  ed25519: (raw, message, signature) => {
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]);
    return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
  },
  mlDsa44: () => false,
};
export const trust: Trust = trustOf(sha256, primitives, { verifierKeys: [verifierKey] });

const commonMembers = { commitment: 'c'.repeat(64), payload: 'd'.repeat(64), v: 1 };

/** An entry of a use of the subject's ECG key. */
export function useEntry(i: number, more: object = {}): EntryMembers {
  return {
    ...commonMembers,
    actor,
    class: 'ecg',
    entry: `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`,
    key,
    operation: 'keys.decrypt',
    outcome: 'success',
    purpose: 'monitoring',
    role: 'service',
    study,
    subject,
    time: start + i * 1000,
    version: 1,
    ...more,
  };
}

export const sampleStatement = [
  'Every entry of the log within the bound that meets the question is listed, and no other: whoever has the log can scan it and compare.',
  'It does not hold against a server that wrote something false, or nothing, when it happened.',
];

/** A log with its tiles in memory. */
class MemoryLog {
  readonly entries: Uint8Array[];
  readonly #tiles = new Map<string, Uint8Array>();
  readonly tree: Tree;

  constructor(entries: readonly EntryMembers[]) {
    this.entries = entries.map((entry) => entryBytes(entry) ?? new Uint8Array());
    const { tree, tiles } = Tree.empty(sha256).append(this.entries.map((bytes) => leafHash(sha256, bytes)));
    for (const { address, hashes } of tiles) this.#tiles.set(`${address.level}/${address.index}`, hashes);
    this.tree = tree;
  }

  readonly read = ({ level, index, width }: TileAddress): Uint8Array =>
    (this.#tiles.get(`${level}/${index}`) ?? new Uint8Array()).subarray(0, width * 32);

  async checkpoint(): Promise<Uint8Array> {
    const text = formatCheckpoint({ origin, size: this.tree.size, root: this.tree.root() });
    const id = keyId(sha256, origin, noteTypes.ed25519, rawKey);
    return signNote(text, [{ name: origin, keyId: id, sign: (bytes) => sign(null, bytes, privateKey) }]);
  }
}

export type Sample = { readonly files: EvidenceFiles; readonly document: EvidenceDocument };

/** An evidence document about these entries, which follow each other in the log behind one that nothing lists. */
export async function sampleOf(
  entries: readonly EntryMembers[],
  bodyOf: (parts: {
    checkpoint: string;
    root: string;
    size: number;
    first: number;
  }) => Pick<EvidenceDocument, 'body' | 'kind'>,
  more: Partial<Pick<EvidenceDocument, 'title' | 'names'>> = {},
): Promise<Sample> {
  const before = [useEntry(0, { operation: 'instance.create' }), ...entries];
  const log = new MemoryLog(before);
  const bound = {
    checkpoint: Buffer.from(await log.checkpoint()).toString('utf8'),
    root: Buffer.from(log.tree.root()).toString('base64'),
    size: log.tree.size,
    first: 1,
  };
  const document: EvidenceDocument = {
    ...bodyOf(bound),
    id: '5d0c1e2f-3a4b-4c5d-8e6f-708192a3b4c5',
    made: { actor, time: start + 86_400_000 },
    names: { [actor]: 'Ward gateway 7', [study]: 'TK-2027-001' },
    origin,
    title: 'Every decryption of the ECG of one subject, March 2027',
    v: 1,
    ...more,
  };
  const content = formatDocument(document);
  const entry: EntryMembers = {
    ...commonMembers,
    actor,
    entry: '11111111-1111-4111-8111-111111111111',
    hash: documentHash(sha256, content),
    operation: 'evidence.make',
    outcome: 'success',
    time: document.made.time,
  };
  const after = new MemoryLog([...before, entry]);
  const size = after.tree.size;
  const listed = listedEntries(document).map(({ index }) => index);
  const files: EvidenceFiles = {
    'evidence.json': content,
    'entry.json': new TextEncoder().encode(canonicalText(entry)),
    'evidence.tlog-proof': formatProof({
      index: size - 1,
      hashes: await inclusionProof(sha256, size - 1, size, after.read),
      checkpoint: await after.checkpoint(),
    }),
    ...(listed.length > 0 && { 'entries.proof': await makeEntriesProof(sha256, listed, size, after.read) }),
  };
  return { files, document };
}

/** The answer to a question that all of `entries` fit. */
export function sampleAnswer(
  entries: readonly EntryMembers[],
  question: Question = { class: 'ecg', operation: 'keys.decrypt', subject },
  more: Parameters<typeof sampleOf>[2] = {},
): Promise<Sample> {
  return sampleOf(
    entries,
    ({ first, ...bound }) => {
      const listed = entries.map((entry, i) => ({
        entry,
        index: first + i,
        kind: 'decryption-observed' as UseKind,
      }));
      const none = {
        'key-released': 0,
        'decryption-attested': 0,
        'encryption-observed': 0,
        'encryption-attested': 0,
      };
      const counts = { ...none, 'decryption-observed': entries.length, 'use-denied': 0, other: 0 };
      const body: AnswerBody = {
        asked: { at: start + 86_000_000, question },
        bound: { ...bound, first: 0, origin },
        counts,
        entries: listed,
        statement: sampleStatement,
        v: 1,
      };
      return { kind: 'ledger.answer', body };
    },
    more,
  );
}

/** The certificate of an erasure that two people approved. */
export function sampleErasure(
  more: Partial<ErasureBody> = {},
  name = 'Dr. Ana-Maria Ștefănescu',
): Promise<Sample> {
  const approval = '22222222-2222-4222-8222-222222222222';
  const time = start + 3_600_000;
  const record = canonicalText({
    approval,
    components: ['password', 'totp'],
    hash: 'e'.repeat(64),
    meaning: 'approval',
    name,
    operation: 'approvals.approve',
    origin,
    person: actor,
    signature: '33333333-3333-4333-8333-333333333333',
    time,
    utc: new Date(time).toISOString(),
    v: 1,
  });
  const signature = Buffer.from(sha256(new TextEncoder().encode(record))).toString('hex');
  const about = {
    operation: 'subjects.erase',
    class: undefined,
    key: undefined,
    version: undefined,
    purpose: undefined,
  };
  const entry = (i: number, members: object): EntryMembers =>
    JSON.parse(JSON.stringify(useEntry(i, { ...about, ...members }))) as EntryMembers;
  const entries = [
    entry(1, { approval, outcome: 'requested', role: 'custodian' }),
    entry(2, { operation: 'approvals.approve', approval, role: 'approver', signature, subject: undefined }),
    entry(3, { approval, state: 'erasing', role: 'custodian' }),
    entry(4, { actor: undefined, role: undefined, state: 'erasing' }),
  ];
  return sampleOf(
    entries,
    ({ first, size }) => ({
      kind: 'subject.erasure',
      body: {
        entries: entries.map((each, i) => ({ entry: each, index: first + i })),
        remaining: ['Copies of the key store from before the next epoch'],
        signatures: [record ?? ''],
        size,
        state: 'erasing',
        study,
        subject,
        ...more,
      },
    }),
    { title: 'Erasure of one participant at their own wish' },
  );
}
