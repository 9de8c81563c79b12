import type { OperationId } from '@trialkeep/contract';
import type { Profile } from '../platform/config.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import * as agreement from './agreement.ts';
import type { LifecycleParts } from './change.ts';
import * as dataKeys from './data-keys.ts';
import type { KeyHolds } from './destruction.ts';
import * as destruction from './destruction.ts';
import { identify } from './identify.ts';
import * as lifecycle from './lifecycle.ts';
import { importKey, importVersion, newKeyParameters, versionParameters } from './import/index.ts';
import type { ImportParts } from './import/index.ts';
import { generateMac, verifyMac } from './mac.ts';
import type { UseParts } from './permitted.ts';
import type { ProtectionPolicy } from './protection.ts';
import * as settings from './rotation-settings.ts';
import { sign, verify } from './sign.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import * as use from './use.ts';
import { keyView } from './view.ts';

/** But for `keys.list`, which is the inventory's, and `keys.export`. */
export type KeyOperationId =
  Exclude<Extract<OperationId, `keys.${string}`>, 'keys.list' | 'keys.export'> | 'random.generate';

/** Binds the key operations of the contract to their behaviour. */
export function keyImplementations(
  parts: ImportParts &
    UseParts & {
      readonly holds: KeyHolds;
      readonly profile: Profile;
      readonly protection: ProtectionPolicy;
    },
): Implementations<KeyOperationId> {
  return {
    'keys.create': (context) => lifecycle.create(parts, context),
    'keys.rotate': (context) => lifecycle.rotate(parts, context),
    'keys.import-parameters': (context) => newKeyParameters(parts, context),
    'keys.import': (context) => importKey(parts, context),
    'keys.import-version-parameters': (context) => versionParameters(parts, context),
    'keys.import-version': (context) => importVersion(parts, context),
    'keys.set-rotation': (context) => settings.setRotation(parts, context),
    'keys.set-rotation-policy': (context) => settings.setPolicy(parts, context),
    'keys.rotation-policy': (context) => settings.showPolicy(parts, context),
    'keys.suspend': (context) => lifecycle.suspend(parts, context),
    'keys.resume': (context) => lifecycle.resume(parts, context),
    'keys.revoke': (context) => lifecycle.revoke(parts, context),
    'keys.schedule-destruction': (context) => destruction.scheduled(parts, context),
    'keys.cancel-destruction': (context) => destruction.cancel(parts, context),
    'keys.show': async (context) => show(parts, context),
    'keys.identify': (context) => identify(parts, context),
    'keys.encrypt': (context) => use.encrypt(parts, context),
    'keys.decrypt': (context) => use.decrypt(parts, context),
    'keys.re-encrypt': (context) => use.reEncrypt(parts, context),
    'keys.generate-data-key': (context) => dataKeys.generate(parts, context),
    'keys.generate-wrapped-data-key': (context) => dataKeys.generateWrapped(parts, context),
    'keys.decrypt-data-key': (context) => dataKeys.release(parts, context),
    'keys.generate-data-key-pair': (context) => dataKeys.generatePair(parts, context),
    'keys.generate-wrapped-data-key-pair': (context) => dataKeys.generateWrappedPair(parts, context),
    'keys.sign': (context) => sign(parts, context),
    'keys.verify': (context) => verify(parts, context),
    'keys.generate-mac': (context) => generateMac(parts, context),
    'keys.verify-mac': (context) => verifyMac(parts, context),
    'keys.derive-shared-secret': (context) => agreement.derive(parts, context),
    'keys.decapsulate': (context) => agreement.decapsulate(parts, context),
    'keys.public-key': (context) => agreement.showPublicKey(parts, context),
    'random.generate': (context) => agreement.random(context),
  };
}

async function show(parts: LifecycleParts, { input, caller, facts, now, record }: Context<'keys.show'>) {
  const tenant = tenantOf(caller);
  record.key = input.key;
  const [rowKey, naming] = await Promise.all([parts.hierarchy.rowKey(tenant), parts.naming(tenant)]);
  const found = await facts.get(`key ${input.key}`, async (snapshot) => {
    const row = await store.findKey(snapshot, rowKey, tenant, input.key);
    return row && { row, versions: await store.listVersions(snapshot, rowKey, input.key) };
  });
  if (found === undefined) throw new OperationError('key.unknown', { field: '/key' });
  const current = stateAt(found.row, now) === 'active' ? found.row.version : 0;
  return {
    key: keyView(found.row, naming, now),
    versions: found.versions.map(({ id, version, created_at }) => ({
      id,
      version,
      state: version === current ? ('active' as const) : ('deactivated' as const),
      createdAt: created_at,
    })),
  };
}
