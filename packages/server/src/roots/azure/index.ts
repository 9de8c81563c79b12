import { join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { StartupError } from '../../platform/errors.ts';
import { writeFileDurably } from '../../platform/files.ts';
import { newId } from '../../platform/ids.ts';
import { checkedEndpoint, patienceSettings } from '../cloud/service.ts';
import { readJson } from '../read-json.ts';
import { rootHead } from '../root.ts';
import type { RootMaker, RootOfTrust, RootSettings } from '../root.ts';
import { VaultKey } from './key.ts';
import { AzureRoot } from './root.ts';

/** What the operator says of a root in Azure Key Vault or Managed HSM. Credentials come from the SDK's own chain, and never stand here. */
const chosen = {
  kind: Type.Literal('azure-key-vault'),
  /** The vault: `https://NAME.vault.azure.net` or `https://NAME.managedhsm.azure.net`. */
  vaultUrl: Type.String({ minLength: 8, maxLength: 500 }),
  /** An RSA key of 3072 bits or more. Its newest version wraps; each version unwraps what it wrapped. */
  keyName: Type.String({ pattern: '^[0-9A-Za-z-]{1,127}$' }),
  ...patienceSettings,
};
const closed = { additionalProperties: false };
const settingsSchema = Type.Object({ ...chosen, certificate: rootHead.certificate }, closed);
const fileSchema = Type.Object({ ...rootHead, ...chosen }, closed);
export type VaultSettings = Omit<Static<typeof settingsSchema>, 'certificate'>;

async function open(id: string, settings: VaultSettings): Promise<RootOfTrust> {
  const { protocol, pathname } = checkedEndpoint(settings.vaultUrl);
  if (protocol !== 'https:' || pathname !== '/')
    throw new StartupError('config.invalid', `${settings.vaultUrl}: an https URL without a path is wanted.`);
  const key = await VaultKey.connect(settings);
  return new AzureRoot(id, key, await key.describe());
}

/** Azure Key Vault and Managed HSM: the key stays there, and wraps and unwraps on request (docs/formats/cloud-root-wrap.md). */
export const azureKeyVaultRoot: RootMaker = {
  /** Uses a key that exists; nothing is made in anybody's vault. */
  async create(folder: string, given: RootSettings): Promise<RootOfTrust> {
    if (!Value.Check(settingsSchema, given)) {
      const [problem] = Value.Errors(settingsSchema, given);
      throw new StartupError('config.invalid', `${problem?.instancePath || '/'}: ${problem?.message ?? ''}.`);
    }
    const content: Static<typeof fileSchema> = { format: 1, id: newId(), ...given };
    const root = await open(content.id, given);
    await root.check();
    writeFileDurably(join(folder, 'root.json'), `${JSON.stringify(content, null, 2)}\n`);
    return root;
  },
  async open(folder: string): Promise<RootOfTrust> {
    const { id, ...settings } = readJson(join(folder, 'root.json'), fileSchema);
    return open(id, settings);
  },
};
