import { Type } from 'typebox';
import { maxMessageBytes, processErrors, useErrors } from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, reason, uuid } from './schemas.ts';

const version = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const message = base64(maxMessageBytes, 'The message');

/** Message authentication codes under keys of purpose `mac`. */
export const keyMacOperations = {
  'keys.generate-mac': define({
    id: 'keys.generate-mac',
    summary: 'Compute the HMAC of a message of up to 4,096 bytes under the current version of a key',
    method: 'POST',
    path: '/v1/keys/{key}/mac',
    input: Type.Object({ key: uuid, message }, closed),
    output: Type.Object({ mac: Type.String({ description: 'base64' }), key: uuid, version }, closed),
    permission: 'keys:protect',
    effect: 'use',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: useErrors,
    requirements: ['URS-012', 'URS-032', 'URS-045'],
  }),
  'keys.verify-mac': define({
    id: 'keys.verify-mac',
    summary: 'Check an HMAC of a key',
    method: 'POST',
    path: '/v1/keys/{key}/verify-mac',
    input: Type.Object(
      {
        key: uuid,
        message,
        mac: base64(64, 'The whole HMAC'),
        version: Type.Optional(version),
        reason: Type.Optional(reason),
      },
      closed,
    ),
    output: Type.Object({ valid: Type.Boolean(), key: uuid, version }, closed),
    permission: 'keys:process',
    effect: 'use',
    record: 'entry',
    recorded: ['version', 'reason'],
    reason: 'optional',
    errors: [...processErrors, 'key.version_unknown'],
    requirements: ['URS-012', 'URS-032', 'URS-045'],
  }),
} as const;
