import type { KeyObject } from 'node:crypto';
import {
  ed25519PublicKey,
  generateKey,
  mlDsa44PublicKey,
  signEd25519,
  signMlDsa44,
  verifyEd25519,
  verifyMlDsa44,
} from '@trialkeep/crypto';
import {
  LedgerError,
  cosigner,
  formatVerifierKey,
  noteTypes,
  openNote,
  parseCheckpoint,
  parseVerifierKey,
  verifierOf,
} from '@trialkeep/ledger';
import type { Checkpoint, Signer, Verifier } from '@trialkeep/ledger';
import type { Hierarchy, SigningPurpose } from '../../keys/index.ts';
import { StartupError } from '../../platform/errors.ts';
import { newId } from '../../platform/ids.ts';
import type { LogKeyRow } from './store.ts';
import { sha256 } from '../sha256.ts';

export type LogKeyAlgorithm = LogKeyRow['algorithm'];

/** How each algorithm signs checkpoints; the order is that of the signature lines. */
const algorithms: Readonly<
  Record<
    LogKeyAlgorithm,
    {
      readonly purpose: SigningPurpose;
      /** The signature type of signed-note. */
      readonly type: number;
      publicKey(key: KeyObject): Uint8Array;
      /** @param seconds POSIX time of the signature, where its form states one */
      signer(parts: { name: string; publicKey: Uint8Array; key: KeyObject; seconds: number }): Signer;
    }
  >
> = {
  ED25519: {
    purpose: 'sign',
    type: noteTypes.ed25519,
    publicKey: ed25519PublicKey,
    signer: ({ name, publicKey, key }) => {
      const { keyId } = parseVerifierKey(
        sha256,
        formatVerifierKey(sha256, name, noteTypes.ed25519, publicKey),
      );
      return { name, keyId, sign: (bytes) => signEd25519(key, bytes) };
    },
  },
  ML_DSA_44: {
    purpose: 'sign-pq',
    type: noteTypes.mlDsa44,
    publicKey: mlDsa44PublicKey,
    signer: ({ name, publicKey, key, seconds }) =>
      cosigner(sha256, {
        name,
        type: noteTypes.mlDsa44,
        publicKey,
        sign: (message) => signMlDsa44(key, message),
        now: () => seconds,
      }),
  },
};

/** The algorithms that every log signs with. */
export const logKeyAlgorithms = Object.keys(algorithms) as LogKeyAlgorithm[];

/** Makes a key for a log of that origin; its row still has to be stored. */
export function newLogKey(
  hierarchy: Hierarchy,
  log: { readonly origin: string; readonly tenant: string | null },
  algorithm: LogKeyAlgorithm,
): Omit<LogKeyRow, 'log' | 'from_size'> {
  const { purpose, type, publicKey } = algorithms[algorithm];
  const key = generateKey(algorithm);
  const id = newId();
  return {
    id,
    algorithm,
    verifier_key: formatVerifierKey(sha256, log.origin, type, publicKey(key)),
    wrapped_key: hierarchy.wrapSigningKey(log.tenant, id, purpose, key),
    state: 'active',
    until_size: null,
    ends_at: null,
  };
}

/** A key of a log of which nothing but its verifier key is left; it signed checkpoints of these sizes. */
export function lostKey(verifierKey: string, log: number, fromSize: number, untilSize: number): LogKeyRow {
  const { type } = parseVerifierKey(sha256, verifierKey);
  const algorithm = logKeyAlgorithms.find((each) => algorithms[each].type === type);
  if (algorithm === undefined) throw new LedgerError('ledger.key_unsupported');
  return {
    id: newId(),
    log,
    algorithm,
    verifier_key: verifierKey,
    wrapped_key: null,
    state: 'ended',
    from_size: fromSize,
    until_size: untilSize,
    ends_at: null,
  };
}

/** The verifier of one key of a log. */
export function logVerifier(verifierKey: string): Verifier {
  return verifierOf(sha256, { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 }, verifierKey);
}

/** The key id of a verifier key, eight hexadecimal digits, as it stands in its line. */
export function keyIdOf(verifierKey: string): string {
  return parseVerifierKey(sha256, verifierKey).keyId.toString(16).padStart(8, '0');
}

/** A key of a log as this process knows it; `key` is there while it signs. */
interface KnownKey {
  readonly row: LogKeyRow;
  readonly verifier: Verifier;
  readonly key: KeyObject | undefined;
}

/**
 * The keys of one log: those that sign its checkpoints, and those that once did. What is stored decides, and it is read again
 * before every signature, so that a node never signs with a key that another one has retired.
 */
export class LogKeys {
  readonly #hierarchy: Hierarchy;
  readonly #log: { readonly origin: string; readonly tenant: string | null };
  #known: readonly KnownKey[] = [];

  /** @throws StartupError database.altered where a stored key is not the one of its verifier key */
  constructor(
    hierarchy: Hierarchy,
    log: { readonly origin: string; readonly tenant: string | null },
    rows: readonly LogKeyRow[],
  ) {
    this.#hierarchy = hierarchy;
    this.#log = log;
    this.take(rows);
  }

  /** Takes over what is stored; a key that no longer signs is released. */
  take(rows: readonly LogKeyRow[]): void {
    const before = new Map(this.#known.map((known) => [known.row.id, known]));
    this.#known = rows.map((row) => {
      const known = before.get(row.id);
      const verifier = known?.verifier ?? logVerifier(row.verifier_key);
      if (row.wrapped_key === null) return { row, verifier, key: undefined };
      return { row, verifier, key: known?.key ?? this.#unwrap(row, row.wrapped_key) };
    });
  }

  /** Verifier keys of all that sign now, the active ones of each algorithm before those that are ending. */
  get verifierKeys(): readonly string[] {
    return this.#signing().map(({ row }) => row.verifier_key);
  }

  /** Whether the keys still are in the states that this knows. */
  areStill(states: readonly Pick<LogKeyRow, 'id' | 'state'>[]): boolean {
    return (
      states.length === this.#known.length &&
      states.every(({ id, state }, i) => {
        const row = this.#known[i]?.row;
        return row?.id === id && row.state === state;
      })
    );
  }

  /** Those that sign a checkpoint at that time; the seconds of a signature are whole. */
  signers(time: number): Signer[] {
    const { origin: name } = this.#log;
    const seconds = Math.floor(time / 1000);
    return this.#signing().map(({ row, key }) => {
      const { publicKey, signer } = algorithms[row.algorithm];
      if (key === undefined) throw new Error('A key that signs is not there.');
      return signer({ name, publicKey: publicKey(key), key, seconds });
    });
  }

  /**
   * The checkpoint in a note that a key of this log has signed while it was one: beyond the size at which it stopped, a key says
   * nothing.
   *
   * @throws LedgerError where there is no such signature
   */
  async open(note: Uint8Array): Promise<Checkpoint> {
    const { text, signedBy } = await openNote(
      note,
      this.#known.map(({ verifier }) => verifier),
    );
    const checkpoint = parseCheckpoint(text);
    const signed = this.#known.some(
      ({ row, verifier }) =>
        signedBy.includes(verifier) &&
        checkpoint.size >= row.from_size &&
        checkpoint.size <= (row.until_size ?? Infinity),
    );
    if (!signed) throw new LedgerError('ledger.note_unsigned');
    return checkpoint;
  }

  #signing(): KnownKey[] {
    const signing = this.#known.filter(({ row }) => row.state !== 'ended');
    const place = ({ row }: KnownKey): number => (row.state === 'active' ? 0 : logKeyAlgorithms.length);
    const order = (known: KnownKey): number => place(known) + logKeyAlgorithms.indexOf(known.row.algorithm);
    return signing.toSorted((one, other) => order(one) - order(other));
  }

  #unwrap(row: LogKeyRow, wrapped: Uint8Array): KeyObject {
    const { purpose, type, publicKey } = algorithms[row.algorithm];
    const key = this.#hierarchy.unwrapSigningKey(this.#log.tenant, row.id, purpose, wrapped);
    if (formatVerifierKey(sha256, this.#log.origin, type, publicKey(key)) === row.verifier_key) return key;
    throw new StartupError('database.altered', `A signing key of log ${this.#log.origin} is not its own.`);
  }
}
