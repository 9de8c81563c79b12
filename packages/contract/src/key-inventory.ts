import { Type } from 'typebox';
import { key, version } from './key-schemas.ts';
import { define } from './operation.ts';
import { closed, uuid } from './schemas.ts';

/** What there is to know of the keys of a tenant. */
export const keyInventoryOperations = {
  'keys.list': define({
    id: 'keys.list',
    summary: 'List the inventory of keys: owner, system, algorithm, state and dates',
    method: 'GET',
    path: '/v1/keys',
    input: Type.Object({ system: Type.Optional(uuid) }, closed),
    output: Type.Object({ keys: Type.Array(key) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: ['system'],
    reason: 'none',
    errors: [],
    requirements: ['URS-007'],
  }),
  'keys.show': define({
    id: 'keys.show',
    summary: 'Show one key with its versions',
    method: 'GET',
    path: '/v1/keys/{key}',
    input: Type.Object({ key: uuid }, closed),
    output: Type.Object({ key, versions: Type.Array(version) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: ['key.unknown'],
    requirements: ['URS-007'],
  }),
} as const;
