import { writeFileDurably } from '../../platform/files.ts';
import { StartupError } from '../../platform/errors.ts';
import { newId } from '../../platform/ids.ts';
import { join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { checkedEndpoint, patienceSettings } from '../cloud/service.ts';
import { readJson } from '../read-json.ts';
import { rootHead } from '../root.ts';
import type { RootMaker, RootOfTrust, RootSettings } from '../root.ts';
import { KmsKey } from './key.ts';
import { AwsKmsRoot } from './root.ts';

/** What the operator says of a root in AWS KMS. Credentials come from the SDK's own chain, and never stand here. */
const chosen = {
  kind: Type.Literal('aws-kms'),
  /** Of a symmetric key for encryption. Not of an alias: who may change the alias could put another key in its place. */
  keyArn: Type.String({
    pattern: '^arn:aws[a-z-]{0,20}:kms:[a-z0-9-]{4,32}:[0-9]{12}:key/[A-Za-z0-9-]{1,64}$',
  }),
  /** Where the service is, if not at the region's public endpoint: a private endpoint, or an emulator on this machine. */
  endpoint: Type.Optional(Type.String({ minLength: 8, maxLength: 500 })),
  /** Speaks to the region's FIPS endpoint. */
  fipsEndpoint: Type.Optional(Type.Boolean()),
  ...patienceSettings,
};
const closed = { additionalProperties: false };
const settingsSchema = Type.Object({ ...chosen, certificate: rootHead.certificate }, closed);
const fileSchema = Type.Object({ ...rootHead, ...chosen }, closed);
export type KmsSettings = Omit<Static<typeof settingsSchema>, 'certificate'>;

async function open(id: string, settings: KmsSettings): Promise<RootOfTrust> {
  if (settings.endpoint !== undefined) checkedEndpoint(settings.endpoint);
  const key = await KmsKey.connect(settings);
  try {
    return new AwsKmsRoot(id, key, await key.describe());
  } catch (error) {
    key.close();
    throw error;
  }
}

/** AWS KMS: the key stays there, and wraps and unwraps on request (docs/formats/cloud-root-wrap.md). */
export const awsKmsRoot: RootMaker = {
  /** Uses a key that exists; nothing is made in anybody's account. */
  async create(folder: string, given: RootSettings): Promise<RootOfTrust> {
    if (!Value.Check(settingsSchema, given)) {
      const [problem] = Value.Errors(settingsSchema, given);
      throw new StartupError('config.invalid', `${problem?.instancePath || '/'}: ${problem?.message ?? ''}.`);
    }
    const content: Static<typeof fileSchema> = { format: 1, id: newId(), ...given };
    const root = await open(content.id, given);
    try {
      await root.check();
      writeFileDurably(join(folder, 'root.json'), `${JSON.stringify(content, null, 2)}\n`);
      return root;
    } catch (error) {
      await root.close();
      throw error;
    }
  },
  async open(folder: string): Promise<RootOfTrust> {
    const { id, ...settings } = readJson(join(folder, 'root.json'), fileSchema);
    return open(id, settings);
  },
};
