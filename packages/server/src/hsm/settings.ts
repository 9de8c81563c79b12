import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { readJson } from '../roots/index.ts';
import { tokenAccess } from '../roots/pkcs11/index.ts';

/** hsm.json: the token that keys of systems are made in. It holds no secret. */
const schema = Type.Object(
  {
    format: Type.Literal(1),
    ...tokenAccess,
    /** How many processes hold the module: each has that many sessions, and a call that hangs takes one process with it. */
    processes: Type.Optional(Type.Integer({ minimum: 1, maximum: 4 })),
    /** Other tokens whose objects this one has too, as the inventory names them: a cluster's, or those that it was restored from. */
    sameAs: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 32 })),
    /** Number of the module's CMVP certificate as the operator recorded it (URS-001). */
    certificate: Type.Optional(Type.String({ pattern: '^#?[0-9]{1,6}$' })),
  },
  { additionalProperties: false },
);

export type HsmSettings = Static<typeof schema> & { readonly pinFile: string };

/**
 * Where keys of systems can be made, as TRIALKEEP_HSM or hsm.json in the data directory says; undefined where neither is there. The PIN is
 * in a file: where the settings or TRIALKEEP_HSM_PIN_FILE say, or `hsm-pin` beside the settings.
 *
 * @throws StartupError `data.unreadable`, `config.invalid`
 */
export function readHsmSettings(
  dataFolder: string,
  env: Readonly<Record<string, string | undefined>>,
): HsmSettings | undefined {
  const named = env['TRIALKEEP_HSM'];
  const file = named ?? join(dataFolder, 'hsm.json');
  if (named === undefined && !existsSync(file)) return undefined;
  const settings = readJson(file, schema);
  const pinFile = settings.pinFile ?? env['TRIALKEEP_HSM_PIN_FILE'] ?? join(dirname(file), 'hsm-pin');
  return { ...settings, pinFile };
}
