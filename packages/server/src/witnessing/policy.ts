import type { Input, Operations } from '@trialkeep/contract';
import { maxPolicyBytes } from '@trialkeep/contract';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { LedgerError, meetsQuorum, noQuorum, noteTypes, parsePolicy, verifierOf } from '@trialkeep/ledger';
import type { KeyVerifier, Policy, SignaturePrimitives } from '@trialkeep/ledger';
import { sha256 } from '../audit/index.ts';
import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import { OperationError } from '../platform/errors.ts';
import { isPrivateUrl } from '../platform/outward.ts';

type PolicyInput = Input<Operations['witnessing.set-policy']>;
export type MirrorSetting = NonNullable<PolicyInput['mirrors']>[number];

/** What people have set for a log. */
export interface Setting {
  /** C2SP tlog-policy. */
  readonly policy: string;
  readonly mirrors: readonly MirrorSetting[];
  readonly mode: PolicyInput['mode'];
  readonly boundSeconds: number;
}

/** One key that is asked for cosignatures. */
export interface Cosigner {
  readonly kind: 'witness' | 'mirror';
  /** Its name in the setting. */
  readonly name: string;
  /** Key name and key id, as in its signature lines: names its rows, whatever the setting calls it. */
  readonly id: string;
  /** Submission prefix, without a slash at its end; undefined for a witness of the policy whose line a mirror brings. */
  readonly url: string | undefined;
  readonly verifier: KeyVerifier;
}

/** A setting, read. */
export interface ReadSetting extends Setting {
  readonly parsed: Policy;
  readonly witnesses: readonly Cosigner[];
  readonly mirrorCosigners: readonly Cosigner[];
}

const primitives: SignaturePrimitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };

/** SHA-256 of the setting as canonical JSON (RFC 8785), hexadecimal: what the ledger's entry names it by. */
export function hashOf({ policy, mirrors, mode, boundSeconds }: Setting): string {
  return sha256Hex(canonicalBytes({ boundSeconds, mirrors, mode, policy }));
}

/** Whether there is anybody to ask. */
export function isWatched({ witnesses, mirrorCosigners }: ReadSetting): boolean {
  return witnesses.length + mirrorCosigners.length > 0;
}

/** Whether those cosigners, by id, meet the quorum. */
export function meets({ parsed, witnesses }: ReadSetting, ids: ReadonlySet<string>): boolean {
  return meetsQuorum(parsed, new Set(witnesses.filter(({ id }) => ids.has(id)).map(({ name }) => name)));
}

/**
 * Reads a setting as somebody wrote it.
 *
 * @param origin of the log that it is for
 * @throws OperationError `witnessing.policy_invalid`
 */
export function readSetting(setting: Setting, origin: string): ReadSetting {
  const parsed = parsedPolicy(setting.policy);
  if (
    parsed.logs.length > 0 &&
    !parsed.logs.some(({ verifierKey }) => verifierKey.startsWith(`${origin}+`))
  ) {
    throw invalid('/policy', `None of its logs is ${origin}.`);
  }
  const mirrorCosigners = setting.mirrors.map(({ name, key, url }, i) =>
    cosignerOf('mirror', { name, verifierKey: key, url }, `/mirrors/${i}`),
  );
  const witnesses = parsed.witnesses.map((witness) => cosignerOf('witness', witness, '/policy'));
  requireOthers(witnesses, origin, () => '/policy');
  requireOthers(mirrorCosigners, origin, (i) => `/mirrors/${i}`);
  const brought = new Set(mirrorCosigners.map(({ id }) => id));
  const silent = witnesses.find(({ url, id }) => url === undefined && !brought.has(id));
  if (silent !== undefined) throw invalid('/policy', `Witness ${silent.name} has no URL.`);
  const twice = repeated(mirrorCosigners.flatMap(({ name, id }) => [`name ${name}`, `key ${id}`]));
  if (twice !== undefined) throw invalid('/mirrors', `The ${twice} stands there twice.`);
  if (setting.mode === 'required' && parsed.quorum === noQuorum) {
    throw invalid('/mode', 'A quorum of none requires nothing.');
  }
  return { ...setting, parsed, witnesses, mirrorCosigners };
}

/** A log has several keys under its origin as name, and none of them cosigns for somebody else. */
function requireOthers(cosigners: readonly Cosigner[], origin: string, fieldOf: (i: number) => string): void {
  const own = cosigners.findIndex(({ verifier }) => verifier.name === origin);
  if (own >= 0) throw invalid(fieldOf(own), `The key of ${cosigners[own]?.name} is the log's own.`);
}

function parsedPolicy(text: string): Policy {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > maxPolicyBytes) throw invalid('/policy', `It is longer than ${maxPolicyBytes} bytes.`);
  try {
    return parsePolicy(sha256, bytes);
  } catch (error) {
    if (error instanceof LedgerError) throw invalid('/policy', error.message, error);
    throw error;
  }
}

function cosignerOf(
  kind: Cosigner['kind'],
  { name, verifierKey, url }: { name: string; verifierKey: string; url?: string },
  field: string,
): Cosigner {
  const verifier = verifierFor(verifierKey, name, field);
  const id = `${verifier.name}+${verifier.keyId.toString(16).padStart(8, '0')}`;
  return { kind, name, id, verifier, url: url === undefined ? undefined : prefixOf(url, name, field) };
}

function verifierFor(verifierKey: string, name: string, field: string): KeyVerifier {
  let verifier;
  try {
    verifier = verifierOf(sha256, primitives, verifierKey);
  } catch (error) {
    if (error instanceof LedgerError) throw invalid(field, `The key of ${name} is malformed.`, error);
    throw error;
  }
  // A plain Ed25519 signature states no time, and so no freshness.
  if (verifier.type === noteTypes.ed25519) throw invalid(field, `The key of ${name} is none of a cosigner.`);
  return verifier;
}

/** A prefix to which request paths are added: nothing in it may say more than where. */
function prefixOf(text: string, name: string, field: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === undefined || !plain || /[?#]/.test(text)) {
    throw invalid(field, `The URL of ${name} is none without user, query and fragment.`);
  }
  if (!isPrivateUrl(url)) throw invalid(field, `The URL of ${name} is not https, nor on this machine.`);
  return url.href.replace(/\/+$/, '');
}

function repeated(values: readonly string[]): string | undefined {
  return values.find((value, i) => values.indexOf(value) !== i);
}

function invalid(field: string, detail: string, cause?: unknown): OperationError {
  return new OperationError('witnessing.policy_invalid', { field, detail, cause });
}
