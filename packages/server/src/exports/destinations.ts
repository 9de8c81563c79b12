import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { maxDestinations } from '@trialkeep/contract';
import type { Operations, Output } from '@trialkeep/contract';
import { CryptoError, parsePublicKey } from '@trialkeep/crypto';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { UnsealedDestination } from './store.ts';

type DestinationView = Output<Operations['destinations.register']>;

/** The kinds of keys that others are wrapped under. */
const algorithms = ['RSA_4096', 'RSA_3072'] as const;

interface DestinationParts {
  readonly hierarchy: Hierarchy;
}

/** The public key with its algorithm. @throws OperationError `destination.key_unsuitable` */
export function readPublicKey(spki: Uint8Array): {
  readonly publicKey: KeyObject;
  readonly algorithm: (typeof algorithms)[number];
} {
  for (const algorithm of algorithms) {
    try {
      return { publicKey: parsePublicKey(algorithm, spki), algorithm };
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
    }
  }
  throw new OperationError('destination.key_unsuitable', { field: '/publicKey' });
}

/** SHA-256 of a public key as it is registered, hexadecimal. */
export function fingerprintOfKey(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('hex');
}

function view(row: UnsealedDestination): DestinationView {
  return {
    id: row.id,
    name: row.name,
    contact: row.contact,
    algorithm: readPublicKey(row.public_key).algorithm,
    fingerprint: row.fingerprint,
    state: row.state,
    registeredAt: row.registered_at,
  };
}

export async function register(
  { hierarchy }: DestinationParts,
  { input, caller, record }: Context<'destinations.register'>,
): Promise<Apply<'destinations.register'>> {
  const tenant = tenantOf(caller);
  const spki = Buffer.from(input.publicKey, 'base64');
  readPublicKey(spki);
  const fingerprint = fingerprintOfKey(spki);
  const id = newId();
  Object.assign(record, { destination: id, hash: fingerprint });
  const rowKey = await hierarchy.rowKey(tenant);
  return async (tx, time) => {
    const inUse = (await store.listDestinations(tx, rowKey, tenant)).filter(
      ({ state }) => state === 'registered',
    );
    if (inUse.some((row) => row.fingerprint === fingerprint)) {
      throw new OperationError('destination.known', { field: '/publicKey' });
    }
    if (inUse.length >= maxDestinations) throw new OperationError('destination.too_many');
    const row: UnsealedDestination = {
      id,
      tenant,
      name: input.name,
      contact: input.contact,
      public_key: spki,
      fingerprint,
      state: 'registered',
      registered_by: caller.actor,
      registered_at: time,
      changed_at: time,
    };
    await store.insertDestination(tx, rowKey, row);
    record.state = 'registered';
    return view(row);
  };
}

export async function retire(
  { hierarchy }: DestinationParts,
  { input, caller, record }: Context<'destinations.retire'>,
): Promise<Apply<'destinations.retire'>> {
  const tenant = tenantOf(caller);
  record.destination = input.destination;
  const rowKey = await hierarchy.rowKey(tenant);
  return async (tx, time) => {
    const row = await store.findDestination(tx, rowKey, tenant, input.destination);
    if (row === undefined) throw new OperationError('destination.unknown', { field: '/destination' });
    if (row.state === 'retired') throw new OperationError('destination.retired', { field: '/destination' });
    const retired = await store.retire(tx, rowKey, row, time);
    record.state = 'retired';
    return view(retired);
  };
}

export async function list(
  { hierarchy }: DestinationParts,
  { caller, facts }: Context<'destinations.list'>,
): Promise<{ destinations: DestinationView[] }> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const rows = await facts.read((snapshot) => store.listDestinations(snapshot, rowKey, tenant));
  return { destinations: rows.map(view) };
}
