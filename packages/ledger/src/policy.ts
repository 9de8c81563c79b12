import { decodeUtf8, equalBytes } from './bytes.ts';
import { noteTypes } from './cosignature.ts';
import { LedgerError } from './errors.ts';
import { parseDecimal } from './lines.ts';
import type { Sha256 } from './merkle.ts';
import { parseVerifierKey, type VerifierKey } from './note.ts';

/** Limits on policy files. The specification asks for 32 logs, witnesses and groups at least. */
export const maxPolicyBytes = 1 << 20;
export const maxPolicyItems = 256;

export type PolicyLog = { readonly verifierKey: string; readonly url?: string };

/** `name` is the policy's own and means nothing outside of it. */
export type PolicyWitness = { readonly name: string; readonly verifierKey: string; readonly url?: string };

/** Witnessed where at least `threshold` of `members`, which are witnesses and earlier groups, are. */
export type PolicyGroup = {
  readonly name: string;
  readonly threshold: number;
  readonly members: readonly string[];
};

/** Which logs and witnesses are known, and which of the witnesses must stand behind a checkpoint. */
export type Policy = {
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  /** In the order of the file: a group refers only to what stands before it. */
  readonly groups: readonly PolicyGroup[];
  /** The name of a witness or a group, or `none`. */
  readonly quorum: string;
};

/** The quorum that asks for no cosignature. */
export const noQuorum = 'none';

/**
 * Reads a policy file (C2SP tlog-policy). Names are octet strings: what is not UTF-8 keeps each such octet as
 * U+DC00 plus its value, so that different names stay different. The last line must end in a newline as well,
 * because a policy that was cut off can ask for less. Throws `ledger.policy_malformed`, naming the line, and
 * `ledger.policy_size`.
 */
export function parsePolicy(sha256: Sha256, bytes: Uint8Array): Policy {
  if (bytes.length > maxPolicyBytes) throw new LedgerError('ledger.policy_size');
  const reader = new PolicyReader(sha256);
  let start = 0;
  for (let line = 1; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0) throw malformed(line, 'no newline at its end');
    reader.read(line, wordsOf(bytes.subarray(start, end), line));
    start = end + 1;
  }
  return reader.policy();
}

/** Whether the witnesses named in `cosignedBy` are enough. Names that are no witness of the policy count nothing. */
export function meetsQuorum(policy: Policy, cosignedBy: ReadonlySet<string>): boolean {
  if (policy.quorum === noQuorum) return true;
  const witnessed = new Set(policy.witnesses.map(({ name }) => name).filter((name) => cosignedBy.has(name)));
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => witnessed.has(member)).length >= threshold) witnessed.add(name);
  }
  return witnessed.has(policy.quorum);
}

/** The names of the witnesses that can contribute to the quorum, in the order of the file. */
export function witnessesOfQuorum(policy: Policy): string[] {
  const wanted = new Set([policy.quorum]);
  for (const { name, members } of [...policy.groups].reverse()) {
    if (wanted.has(name)) for (const member of members) wanted.add(member);
  }
  return policy.witnesses.map(({ name }) => name).filter((name) => wanted.has(name));
}

const logTypes: readonly number[] = [noteTypes.ed25519, noteTypes.mlDsa44];
const witnessTypes: readonly number[] = [noteTypes.ed25519Cosignature, noteTypes.mlDsa44];

class PolicyReader {
  readonly #sha256: Sha256;
  readonly #logs: PolicyLog[] = [];
  readonly #witnesses: PolicyWitness[] = [];
  readonly #groups: PolicyGroup[] = [];
  readonly #publicKeys: Uint8Array[] = [];
  readonly #logNames = new Set<string>();
  readonly #witnessKeyNames = new Set<string>();
  readonly #names = new Set<string>();
  readonly #members = new Set<string>();
  #quorum: string | undefined;

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  read(line: number, [keyword, ...items]: readonly string[]): void {
    if (keyword === undefined) return;
    if (keyword === 'log') this.#readLog(line, items);
    else if (keyword === 'witness') this.#readWitness(line, items);
    else if (keyword === 'group') this.#readGroup(line, items);
    else if (keyword === 'quorum') this.#readQuorum(line, items);
    else throw malformed(line, 'it begins with none of log, witness, group, quorum');
  }

  policy(): Policy {
    if (this.#quorum === undefined) throw new LedgerError('ledger.policy_malformed', 'no quorum line');
    return {
      logs: this.#logs,
      witnesses: this.#witnesses,
      groups: this.#groups,
      quorum: this.#quorum,
    };
  }

  #readLog(line: number, items: readonly string[]): void {
    const [verifierKey, url] = items;
    if (verifierKey === undefined || items.length > 2)
      throw malformed(line, 'log <vkey> [<url>] is expected');
    const keyName = this.#checkKey(line, verifierKey, logTypes);
    this.#checkKeyName(line, keyName, this.#witnessKeyNames);
    this.#logNames.add(keyName);
    this.#logs.push({ verifierKey, ...(url !== undefined && { url }) });
    checkCount(line, this.#logs);
  }

  #readWitness(line: number, items: readonly string[]): void {
    const [name, verifierKey, url] = items;
    if (name === undefined || verifierKey === undefined || items.length > 3) {
      throw malformed(line, 'witness <name> <vkey> [<url>] is expected');
    }
    const keyName = this.#checkKey(line, verifierKey, witnessTypes);
    this.#checkKeyName(line, keyName, this.#logNames);
    this.#witnessKeyNames.add(keyName);
    this.#define(line, name);
    this.#witnesses.push({ name, verifierKey, ...(url !== undefined && { url }) });
    checkCount(line, this.#witnesses);
  }

  #readGroup(line: number, [name, least, ...members]: readonly string[]): void {
    if (name === undefined || least === undefined || members.length === 0) {
      throw malformed(line, 'group <name> <all, any or a number> <name>... is expected');
    }
    for (const member of members) {
      if (!this.#names.has(member)) throw malformed(line, 'a member is not defined before it');
      if (this.#members.has(member)) throw malformed(line, 'a member is a group member already');
      this.#members.add(member);
    }
    const threshold = thresholdOf(least, members.length);
    if (threshold === undefined)
      throw malformed(line, 'the threshold is not from 1 to the number of members');
    this.#define(line, name);
    this.#groups.push({ name, threshold, members });
    checkCount(line, this.#groups);
  }

  #readQuorum(line: number, items: readonly string[]): void {
    const [name] = items;
    if (name === undefined || items.length > 1) throw malformed(line, 'quorum <name> is expected');
    if (this.#quorum !== undefined) throw malformed(line, 'a second quorum');
    if (name !== noQuorum && !this.#names.has(name))
      throw malformed(line, 'the name is not defined before it');
    this.#quorum = name;
  }

  #define(line: number, name: string): void {
    if (name === noQuorum) throw malformed(line, 'the name "none" has a meaning of its own');
    if (this.#names.has(name)) throw malformed(line, 'the name is defined already');
    this.#names.add(name);
  }

  /** A log has several keys under one name, and none of them is a witness of it. */
  #checkKeyName(line: number, name: string, others: ReadonlySet<string>): void {
    if (others.has(name)) throw malformed(line, 'a log and a witness have keys of one name');
  }

  /** One public key has one place: a log that is its own witness would be no witness. Gives the key's name. */
  #checkKey(line: number, verifierKey: string, types: readonly number[]): string {
    const { name, type, publicKey } = this.#parseKey(line, verifierKey);
    if (!types.includes(type)) {
      throw malformed(line, `a key of type ${types.join(' or ')} is expected, and this one has type ${type}`);
    }
    if (this.#publicKeys.some((known) => equalBytes(known, publicKey))) {
      throw malformed(line, 'the key stands there already');
    }
    this.#publicKeys.push(publicKey);
    return name;
  }

  #parseKey(line: number, verifierKey: string): VerifierKey {
    try {
      return parseVerifierKey(this.#sha256, verifierKey);
    } catch (error) {
      if (error instanceof LedgerError) throw malformed(line, 'the verifier key is malformed');
      throw error;
    }
  }
}

function thresholdOf(least: string, members: number): number | undefined {
  if (least === 'any') return 1;
  if (least === 'all') return members;
  const threshold = parseDecimal(least);
  return threshold !== undefined && threshold >= 1 && threshold <= members ? threshold : undefined;
}

/** The words of a line, none where it is empty or a comment. */
function wordsOf(octets: Uint8Array, line: number): string[] {
  const words: string[] = [];
  let start = 0;
  for (let i = 0; i <= octets.length; i++) {
    const octet = octets[i] ?? 0x20;
    if (octet === 0x7f || (octet < 0x20 && octet !== 0x09)) throw malformed(line, 'a control character');
    if (octet !== 0x20 && octet !== 0x09) continue;
    if (i > start) words.push(wordOf(octets.subarray(start, i)));
    start = i + 1;
  }
  return words[0]?.startsWith('#') === true ? [] : words;
}

function wordOf(octets: Uint8Array): string {
  const opaque = (octet: number): string => String.fromCharCode(octet < 0x80 ? octet : 0xdc00 + octet);
  return decodeUtf8(octets) ?? Array.from(octets, opaque).join('');
}

function checkCount(line: number, items: readonly unknown[]): void {
  if (items.length > maxPolicyItems) throw malformed(line, `more than ${maxPolicyItems} of a kind`);
}

function malformed(line: number, detail: string): LedgerError {
  return new LedgerError('ledger.policy_malformed', `line ${line}: ${detail}`);
}
