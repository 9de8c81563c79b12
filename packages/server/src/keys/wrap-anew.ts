import type { KeyObject } from 'node:crypto';
import { sealCompact, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import type { EpochKey } from '../roots/index.ts';
import type { ShreddableKey } from '../shred/index.ts';
import { openShredRow, unwrapStored } from './hierarchy.ts';
import type { KeyKind, SigningPurpose } from './hierarchy.ts';
import {
  authenticatorPlace,
  payloadPlace,
  shredContext,
  shreddablePlace,
  signingPlace,
  systemPlace,
} from './places.ts';

/** What wraps the keys of an owner: what did until now, and what does from now on. */
export interface WrappingChange {
  readonly before: KeyObject;
  readonly after: KeyObject;
}

/** @throws StartupError `database.altered` where it does not open at its place */
function wrapAnew(name: string, { before, after }: WrappingChange, place: KeyPlace, wrapped: Uint8Array) {
  return wrapKey({ wrappingKey: after, place, key: unwrapStored(name, before, place, wrapped) });
}

/** The secret of a version of a system's key under its tenant's next key. */
export function versionAnew(
  change: WrappingChange,
  tenant: string,
  version: {
    readonly key: string;
    readonly id: string;
    readonly kind: KeyKind;
    readonly wrapped: Uint8Array;
  },
): Uint8Array {
  const place = systemPlace(tenant, version.key, version.id, version.kind);
  return wrapAnew(`secret of key ${version.key}`, change, place, version.wrapped);
}

/** A signing key of a log. */
export function signingKeyAnew(
  change: WrappingChange,
  tenant: string | null,
  {
    id,
    purpose,
    wrapped,
  }: { readonly id: string; readonly purpose: SigningPurpose; readonly wrapped: Uint8Array },
): Uint8Array {
  return wrapAnew('signing key of a log', change, signingPlace(tenant, id, purpose), wrapped);
}

/** The payload key of a log. */
export function payloadKeyAnew(
  change: WrappingChange,
  tenant: string | null,
  { versionId, wrapped }: { readonly versionId: string; readonly wrapped: Uint8Array },
): Uint8Array {
  return wrapAnew('payload key of a log', change, payloadPlace(tenant, versionId), wrapped);
}

/** The secret of a person's generator of one-time codes. */
export function authenticatorAnew(
  change: WrappingChange,
  tenant: string | null,
  { id, person, wrapped }: { readonly id: string; readonly person: string; readonly wrapped: Uint8Array },
): Uint8Array {
  return wrapAnew(
    `authenticator of person ${person}`,
    change,
    authenticatorPlace(tenant, person, id),
    wrapped,
  );
}

/** A row of the shred store under another epoch, and what it holds under its tenant's next key. */
export function shreddableAnew(
  change: WrappingChange,
  row: ShreddableKey,
  from: EpochKey,
  to: EpochKey,
): ShreddableKey {
  const place = shreddablePlace(row.kind, row.tenant, row.id, row.version);
  const outer = openShredRow(row, from);
  const plaintext = wrapAnew(`key of ${row.kind} ${row.id}`, change, place, outer);
  const wrapped_secret = sealCompact({ ...to.key, context: shredContext(row.kind), plaintext });
  return { ...row, epoch: to.number, wrapped_secret };
}
