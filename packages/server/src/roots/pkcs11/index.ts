import { join } from 'node:path';
import { Value } from 'typebox/value';
import { StartupError } from '../../platform/errors.ts';
import { writeFileDurably } from '../../platform/files.ts';
import { idBytes, newId } from '../../platform/ids.ts';
import { readJson } from '../read-json.ts';
import type { RootMaker, RootOpening } from '../root.ts';
import { ModuleProcess } from './module-process.ts';
import { Pkcs11Root } from './root.ts';
import { pinFileOf, rootSchema, settingsSchema } from './settings.ts';
import type { Pkcs11Settings } from './settings.ts';

export { ModuleProcess } from './module-process.ts';
export type { Answers, ObjectName, Question, SigningWay } from './protocol.ts';
export { tokenAccess } from './settings.ts';
export { signingInput } from './signing.ts';

const defaults = { sessions: 4, timeoutSeconds: 10 };

function processFor(id: string, settings: Pkcs11Settings, opening: RootOpening): ModuleProcess {
  const { sessions = defaults.sessions, timeoutSeconds = defaults.timeoutSeconds } = settings;
  const { module, token, environment = {} } = settings;
  return new ModuleProcess({
    address: { module, token, pinFile: pinFileOf(settings, opening), keyId: idBytes(id) },
    sessions,
    timeoutMs: timeoutSeconds * 1000,
    environment,
  });
}

/** A root of trust in an HSM or another token that speaks PKCS#11. */
export const pkcs11Root: RootMaker = {
  /** Has the token make an AES-256 key of its own; the token is initialised, and its user PIN set, by the vendor's tool. */
  async create(folder, given, opening) {
    if (!Value.Check(settingsSchema, given)) {
      const [problem] = Value.Errors(settingsSchema, given);
      throw new StartupError('config.invalid', `Root of kind pkcs11: ${problem?.instancePath || '/'}.`);
    }
    const { kind, certificate, mechanism: wanted, ...settings } = given;
    const id = newId();
    const process = processFor(id, settings, opening);
    try {
      const module = await process.ask({ ask: 'describe' });
      const label = settings.keyLabel;
      const question = {
        ask: 'generate',
        label,
        ...(wanted !== undefined && { mechanism: wanted }),
      } as const;
      const mechanism = await process.ask(question);
      await process.ask({ ask: 'check', mechanism });
      const content = {
        format: 1 as const,
        id,
        kind,
        ...(certificate !== undefined && { certificate }),
        ...settings,
        mechanism,
      };
      writeFileDurably(join(folder, 'root.json'), `${JSON.stringify(content, null, 2)}\n`);
      return new Pkcs11Root(content, module, process);
    } catch (error) {
      await process.close();
      throw error;
    }
  },

  async open(folder, opening) {
    const described = readJson(join(folder, 'root.json'), rootSchema);
    const process = processFor(described.id, described, opening);
    try {
      const module = await process.ask({ ask: 'describe' });
      await process.ask({ ask: 'check', mechanism: described.mechanism });
      return new Pkcs11Root(described, module, process);
    } catch (error) {
      await process.close();
      throw error;
    }
  },
};
