import { createHash } from 'node:crypto';
import { CryptoError } from '../errors.ts';

/** What a client attests of one use, or of several equal ones (docs/formats/use-receipt.md). Bytes are hexadecimal in lower case. */
export interface AttestedUse {
  readonly use: 'seal' | 'open';
  /** Id of the server's key (UUID); either this or `recipient` is there. */
  readonly key?: string;
  /** Id of the escrow recipient, 16 to 32 bytes. */
  readonly recipient?: string;
  /** SHA-256 of the wrapped data key. */
  readonly dataKey: string;
  /** Id of the study (UUID); always there beside `key`. */
  readonly study?: string;
  /** Alias of the participant; always there beside `key`. */
  readonly subject?: string;
  readonly class?: string;
  readonly purpose?: string;
  /** How many uses, 1 to 1,000,000. */
  readonly count: number;
  /** The reporter's clock at the last of them, ms since 1970. */
  readonly time: number;
}

/** A use in its place in the chain of its reporter. */
export interface Receipt extends AttestedUse {
  readonly v: 1;
  /** The reporter's Ed25519 public key. */
  readonly reporter: string;
  /** From 1. */
  readonly sequence: number;
  /** Hash of the receipt before; {@link noReceipt} for the first. */
  readonly previous: string;
}

/** A receipt with its canonical text and the SHA-256 of that. */
export interface ChainedReceipt {
  readonly receipt: Receipt;
  readonly text: string;
  readonly hash: string;
}

/** Stands for the receipt before the first. */
export const noReceipt = '0'.repeat(64);
/** Uses that one receipt stands for at most. */
export const maximumReceiptCount = 1_000_000;

/** Milliseconds that a `Date` can hold. */
const maximumTime = 8_640_000_000_000_000;
/** More than any receipt is long. */
const maximumTextLength = 2000;

const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);
const isInteger = (least: number, most: number) => (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;

const hash = matches(/^[0-9a-f]{64}$/);
const uuid = matches(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
const word = matches(/^[a-z0-9][a-z0-9-]{0,63}$/);

/** Every member in the order of the canonical text, with what its value has to be. */
const members = {
  class: word,
  count: isInteger(1, maximumReceiptCount),
  dataKey: hash,
  key: uuid,
  previous: hash,
  purpose: word,
  recipient: matches(/^(?:[0-9a-f]{2}){16,32}$/),
  reporter: hash,
  sequence: isInteger(1, Number.MAX_SAFE_INTEGER),
  study: uuid,
  subject: matches(/^[0-9a-f]{32}$/),
  time: isInteger(0, maximumTime),
  use: (value: unknown) => value === 'seal' || value === 'open',
  v: (value: unknown) => value === 1,
} as const;
type Member = keyof typeof members;

const names = Object.keys(members) as Member[];
const required: readonly Member[] = [
  'count',
  'dataKey',
  'previous',
  'reporter',
  'sequence',
  'time',
  'use',
  'v',
];
/** What a reader of the ledger asks for, of the members that come from the encryption context. */
const contextMembers = ['class', 'purpose', 'study', 'subject'] as const;

/** Those of the context's values that a receipt holds; one of another form is left out. */
export function receiptContext(
  context: Readonly<Record<string, string>>,
): Pick<AttestedUse, (typeof contextMembers)[number]> {
  const known = contextMembers.filter((name) => Object.hasOwn(context, name) && members[name](context[name]));
  return Object.fromEntries(known.map((name) => [name, context[name]]));
}

/**
 * The receipt's canonical text and hash.
 *
 * @param place what an error says before the member that is wrong
 * @throws CryptoError `crypto.receipt_malformed`
 */
export function encodeReceipt(receipt: Receipt, place = ''): ChainedReceipt {
  const wrong = wrongMember(receipt);
  if (wrong !== undefined) throw new CryptoError('crypto.receipt_malformed', place + wrong);
  const present = names.filter((name) => receipt[name] !== undefined);
  const ordered = Object.fromEntries(present.map((name) => [name, receipt[name]])) as unknown as Receipt;
  // All strings are plain ASCII and all numbers integers by now, so that JSON.stringify writes the canonical form.
  const text = JSON.stringify(ordered);
  return { receipt: ordered, text, hash: createHash('sha256').update(text).digest('hex') };
}

/**
 * Reads the text of a receipt. One text is one receipt: other orders, spaces and spellings are refused.
 *
 * @throws CryptoError `crypto.receipt_malformed`
 */
export function parseReceipt(text: string): ChainedReceipt {
  if (text.length > maximumTextLength) throw new CryptoError('crypto.receipt_malformed', 'too long');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CryptoError('crypto.receipt_malformed', 'not JSON');
  }
  if (typeof value !== 'object' || value === null) {
    throw new CryptoError('crypto.receipt_malformed', 'not an object');
  }
  const parsed = encodeReceipt(value as Receipt);
  if (parsed.text !== text) throw new CryptoError('crypto.receipt_malformed', 'not canonical');
  return parsed;
}

/** The first member that is not what it has to be. */
function wrongMember(receipt: Readonly<Partial<Record<Member, unknown>>>): string | undefined {
  const unknown = Object.keys(receipt).find((name) => !Object.hasOwn(members, name));
  if (unknown !== undefined) return 'an unknown member';
  const absent = required.find((name) => receipt[name] === undefined);
  if (absent !== undefined) return absent;
  const wrong = names.find((name) => receipt[name] !== undefined && !members[name](receipt[name]));
  if (wrong !== undefined) return wrong;
  if ((receipt.key === undefined) === (receipt.recipient === undefined)) return 'key or recipient';
  if (receipt.key !== undefined && receipt.study === undefined) return 'study';
  if (receipt.key !== undefined && receipt.subject === undefined) return 'subject';
  return receipt.sequence === 1 && receipt.previous !== noReceipt ? 'previous' : undefined;
}
