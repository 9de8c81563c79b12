import { equalBytes } from './bytes.ts';
import { LedgerError } from './errors.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { cosignatureTime, verifierOf, type SignaturePrimitives } from './cosignature.ts';
import type { Sha256 } from './merkle.ts';
import { openNote, parseNote, type Verifier } from './note.ts';
import { meetsQuorum, noQuorum, witnessesOfQuorum, type Policy } from './policy.ts';

/** A witness under the name that the policy gives it. */
export type Witness = { readonly name: string; readonly verifier: Verifier };

/** Whom a verifier believes: the log's own keys, any one of which is enough, and a policy's witnesses. */
export type Trust = {
  readonly logs: readonly Verifier[];
  readonly witnesses: readonly Witness[];
  readonly policy?: Policy;
};

/** That a witness signed a checkpoint. `time` in seconds of the POSIX epoch; 0 where it stated none. */
export type Cosignature = { readonly witness: string; readonly time: number };

/** What stands behind a checkpoint that a trusted log key signed. */
export type CosignedCheckpoint = {
  readonly checkpoint: Checkpoint;
  /** The log's keys that signed it, at least one. */
  readonly signedBy: readonly Verifier[];
  /** The policy's witnesses that cosigned it, each with its latest time, in the order of the policy. */
  readonly cosignatures: readonly Cosignature[];
  /** Witnesses with a line that their key did not sign; they count for nothing. */
  readonly forged: readonly string[];
  /** `none`: there is no policy, or it asks for no witness. */
  readonly quorum: 'met' | 'unmet' | 'none';
  /** Where the quorum is not met, the witnesses that could have contributed to it and did not. */
  readonly missing: readonly string[];
  /**
   * The time, in seconds of the POSIX epoch, at which by enough witnesses this was the newest checkpoint that
   * they had seen: the latest time that a quorum stated or passed. Undefined where no quorum states one.
   */
  readonly freshAt: number | undefined;
};

/**
 * Trust in verifier keys and a policy, each from a trusted place. Where keys are given, they alone are the
 * log's; the logs of the policy are believed only without. Throws `ledger.key_malformed`,
 * `ledger.key_unsupported`, and `ledger.policy_malformed` where a witness has the key or the name of a log:
 * the other key of a log is no witness of it.
 */
export function trustOf(
  sha256: Sha256,
  primitives: SignaturePrimitives,
  { verifierKeys = [], policy }: { verifierKeys?: readonly string[]; policy?: Policy },
): Trust {
  const logKeys = verifierKeys.length > 0 ? verifierKeys : (policy?.logs ?? []).map((log) => log.verifierKey);
  const logs = logKeys.map((key) => verifierOf(sha256, primitives, key));
  const witnesses = (policy?.witnesses ?? []).map(({ name, verifierKey }) => ({
    name,
    verifier: verifierOf(sha256, primitives, verifierKey),
  }));
  for (const { verifier } of witnesses) {
    if (logs.some(({ publicKey }) => equalBytes(publicKey, verifier.publicKey))) {
      throw new LedgerError('ledger.policy_malformed', "a witness has the log's own key");
    }
    if (logs.some(({ name }) => name === verifier.name)) {
      throw new LedgerError('ledger.policy_malformed', "a witness's key has the log's own name");
    }
  }
  return { logs, witnesses, ...(policy !== undefined && { policy }) };
}

/**
 * The checkpoint in a signed note, and who stands behind it. At least one key of the log must have signed it,
 * and none of them wrongly. Its origin must be the name of a key that signed, for a key that is trusted as one
 * log's says nothing about another log; where `origin` is given, it must be that one as well. Throws
 * `ledger.note_size`, `ledger.note_malformed`, `ledger.note_signature`, `ledger.note_unsigned`,
 * `ledger.checkpoint_malformed` and `ledger.origin_unknown`. Missing and false cosignatures are told, not
 * thrown.
 */
export async function openCheckpoint(
  note: Uint8Array,
  trust: Trust,
  origin?: string,
): Promise<CosignedCheckpoint> {
  const { text, signedBy } = await openNote(note, trust.logs);
  const checkpoint = parseCheckpoint(text);
  const isNamed = signedBy.some(({ name }) => name === checkpoint.origin);
  if (!isNamed || checkpoint.origin !== (origin ?? checkpoint.origin)) {
    throw new LedgerError('ledger.origin_unknown');
  }

  const { cosignatures, forged } = await readCosignatures(note, trust.witnesses);
  const { policy } = trust;
  const cosignedBy = new Set(cosignatures.map(({ witness }) => witness));
  const asked = policy !== undefined && policy.quorum !== noQuorum;
  const met = asked && meetsQuorum(policy, cosignedBy);
  return {
    checkpoint,
    signedBy,
    cosignatures,
    forged,
    quorum: asked ? (met ? 'met' : 'unmet') : 'none',
    missing: asked && !met ? witnessesOfQuorum(policy).filter((name) => !cosignedBy.has(name)) : [],
    freshAt: met ? freshAt(policy, cosignatures) : undefined,
  };
}

async function readCosignatures(
  note: Uint8Array,
  witnesses: readonly Witness[],
): Promise<{ cosignatures: Cosignature[]; forged: string[] }> {
  const { text, signatures } = parseNote(note);
  const textBytes = new TextEncoder().encode(text);
  const cosignatures: Cosignature[] = [];
  const forged: string[] = [];
  for (const { name: witness, verifier } of witnesses) {
    const lines = signatures.filter(({ name, keyId }) => name === verifier.name && keyId === verifier.keyId);
    const times: number[] = [];
    for (const { signature } of lines) {
      if (await verifier.verify(textBytes, signature)) times.push(cosignatureTime(signature));
    }
    if (times.length < lines.length) forged.push(witness);
    else if (times.length > 0) cosignatures.push({ witness, time: Math.max(...times) });
  }
  return { cosignatures, forged };
}

/** The latest time for which the witnesses that cosigned then or later are a quorum. */
function freshAt(policy: Policy, cosignatures: readonly Cosignature[]): number | undefined {
  const times = cosignatures.map(({ time }) => time).filter((time) => time > 0);
  return times
    .sort((a, b) => b - a)
    .find((time) => {
      const until = cosignatures.filter((one) => one.time >= time);
      return meetsQuorum(policy, new Set(until.map(({ witness }) => witness)));
    });
}
